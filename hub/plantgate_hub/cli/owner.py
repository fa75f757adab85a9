"""Lets root's command line leave files as the hub's own user needs them."""

import os
import pwd
from pathlib import Path

from sqlalchemy.engine import URL


def become_owner(database: URL) -> None:
    """As root, go on as the user whose folder the SQLite file is in.

    SQLite makes files beside the database; made by root, the hub (which runs as a user of its own) could not open them.
    """
    if os.geteuid() != 0 or database.get_backend_name() != "sqlite":
        return
    folder = Path(str(database.database)).resolve().parent
    try:
        owner = folder.stat().st_uid
        account = pwd.getpwuid(owner)
    except (OSError, KeyError):  # opening the database says what is wrong
        return
    if owner != 0:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(owner)
