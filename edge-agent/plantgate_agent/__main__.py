"""`python -m plantgate_agent`: how the host starts the agent's other parts."""

import sys

from .cli import main

sys.exit(main())
