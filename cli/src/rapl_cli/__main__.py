"""The command line of `rapl`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version

from rapl_cli import bench, demo, development, doctor, mlx, transcribe, up
from rapl_cli.commands import cert
from rapl_cli.fleet.environments import InstallError
from rapl_cli.fleet.ports import PortError
from rapl_cli.gateway_address import GatewayAddress


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command is None and not rest:
        parser.print_help()
        return 0
    if rest and options.command != "test":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    _end_like_ctrl_c(signal.SIGTERM, signal.SIGHUP)
    try:
        return _run(options, rest)
    except InstallError as error:
        print(f"rapl: {error}", file=sys.stderr)
        return 1
    except PortError as error:
        print(f"rapl: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _end_like_ctrl_c(*numbers: signal.Signals) -> None:
    """Makes each command clean up when it is stopped or its terminal is closed. `nohup` still has its effect."""
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rapl", description="A private, local, OpenAI-compatible speech-to-text API.")
    parser.add_argument("--version", action="version", version=f"rapl {version('rapl-cli')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND OPTIONS")
    fleet = commands.add_parser("up", help="start the services on this machine, without Docker")
    fleet.add_argument(
        "--mlx",
        action=argparse.BooleanOptionalAction,
        help="also start the MLX engine (the default on a Mac with Apple silicon)",
    )
    fleet.add_argument("--no-download", action="store_true", help="do not download SenseVoiceSmall")
    fleet.add_argument("--detach", action="store_true", help="run in the background; return when the services are up")
    commands.add_parser("down", help="stop the services that `up` started")
    commands.add_parser("demo", help="start all services, transcribe the sample, and stop")
    engine = commands.add_parser(
        "mlx",
        help="run the MLX engine on this machine",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {action:<12}{text}" for action, text in mlx.ACTIONS.items()),
    )
    engine.add_argument("action", nargs="?", choices=tuple(mlx.ACTIONS), default="run", help="see below")
    engine.add_argument("--follow", action="store_true", help="with logs: keep printing new lines")
    check = commands.add_parser("doctor", help="check the services, and print how to fix problems")
    check.add_argument("--url", help="the gateway (default: the one on this machine)")
    check.add_argument("--api-key", metavar="KEY", help="the API key (default: RAPL_API_KEY or RAPL_API_KEYS)")
    certificate = commands.add_parser("cert", help="make a TLS certificate, and say how to trust it")
    certificate.add_argument(
        "names", nargs="*", metavar="NAME", help="a further host name or IP address of this machine"
    )
    transcribe.add_arguments(commands.add_parser("transcribe", help="transcribe files and folders"))
    bench.add_arguments(commands.add_parser("bench", help="measure RAPL side by side with alternatives"))
    commands.add_parser("test", help="run the tests; all arguments go to pytest", add_help=False)
    return parser


def _run(options: argparse.Namespace, rest: list[str]) -> int:
    match options.command:
        case "up":
            return up.up(with_mlx=options.mlx, download=not options.no_download, detach=options.detach)
        case "down":
            return up.down()
        case "demo":
            return demo.demo()
        case "doctor":
            return doctor.doctor(GatewayAddress.chosen(options.url, options.api_key))
        case "transcribe":
            return transcribe.transcribe(options)
        case "cert":
            return cert.cert(options.names)
        case "bench":
            return bench.bench(options)
        case "test":
            return development.test(rest)
        case _:
            return mlx.mlx(options.action, follow=options.follow)


if __name__ == "__main__":
    sys.exit(main())
