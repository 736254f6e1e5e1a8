"""Sentences that say how to fix a problem, for both the API's errors and `rapl doctor`. Each names only what exists on
every system."""

START_MLX = "Start it with `./rapl mlx`."
SEND_AGAIN = "Send the request again later."
RAISE_DEADLINE = "If it is only slow, raise RAPL_DEADLINE_BASE_S or RAPL_DEADLINE_PER_AUDIO_S; else look at its log."
FREE_TEMPORARY_SPACE = (
    "Free space in its folder of temporary files, or choose another folder with the environment variable TMPDIR."
)


def start_services(*, with_docker: bool = True) -> str:
    """How to start the services. `with_docker=False` leaves out Docker, where it is not installed."""
    return "Start it with `docker compose up` or `./rapl up`." if with_docker else "Start it with `./rapl up`."


def same_token(service: str) -> str:
    return f"Set the same token for the gateway and for {service}, and restart both."
