"""`python -m rapl_mlx`: runs mlx-service."""

import sys

from rapl_service.exit_codes import BAD_SETTING
from rapl_service.run import run

from rapl_mlx.app import create_app
from rapl_mlx.machine import this_machine_unsupported_reason
from rapl_mlx.settings import Settings


def main() -> None:
    if reason := this_machine_unsupported_reason():
        print(reason, file=sys.stderr)  # noqa: T201
        sys.exit(BAD_SETTING)
    run(create_app, Settings)


if __name__ == "__main__":
    main()
