"""`python -m tests.bench [NAME]`: list the benchmarks, or run one and print one JSON object a line."""

import argparse
import json
import sys

from .registry import discover


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 when every figure keeps its bound, 1 when one does not, 2 when there is no such benchmark."""
    parser = argparse.ArgumentParser(
        prog="bench", description="Measure Plantgate; without a name, list the benchmarks."
    )
    parser.add_argument("name", nargs="?")
    name = parser.parse_args(arguments).name
    benchmarks = discover()
    if name is None:
        width = max(map(len, benchmarks), default=0)
        for entry in benchmarks.values():
            print(f"{entry.name:{width}}  {entry.summary}")
        return 0
    if name not in benchmarks:
        print(f"bench: there is no benchmark {name!r}; valid names: {', '.join(benchmarks)}", file=sys.stderr)
        return 2
    all_hold = True
    for figure in benchmarks[name].run():
        print(json.dumps(figure.as_json()), flush=True)
        all_hold = all_hold and figure.holds
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
