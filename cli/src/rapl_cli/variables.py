"""Environment variables that no service reads: those of the commands, of Compose, of the hubs and of the tests."""

from rapl_service.settings.variables import Variable

COMMANDS = (
    Variable(
        "RAPL_API_KEY",
        "API key that the commands send. Unset: the first one of RAPL_API_KEYS and RAPL_API_KEYS_FILE.",
    ),
    Variable(
        "RAPL_ENV_FILE",
        "File with settings, one NAME=value per line, for every command but `rapl test`. The environment wins.",
        example=".env",
        default_in_words="`.env` in the checkout, if there is one",
    ),
)
COMPOSE = (
    Variable(
        "RAPL_CONFIG_DIR",
        "Folder with rapl.toml, keys and certificate for the gateway's container.",
        "./config",
        "./config",
    ),
    Variable("RAPL_SENSEVOICE_MEMORY", "Most memory of sensevoice-service's container.", "6g", "6g"),
    Variable("RAPL_SENSEVOICE_CPUS", "Most CPUs of sensevoice-service's container; 0: all.", "0", "0"),
    Variable(
        "TORCH_BACKEND",
        "Builds of torch and torchaudio for the image of docker-compose.cuda.yml: PyPI's, or PyTorch's such as cu128.",
        "pypi",
        "pypi",
    ),
    Variable("PROMETHEUS_PORT", "Port of Prometheus, with docker-compose.metrics.yml.", "9090", "9090"),
    Variable("PROMETHEUS_RAPL_KEY", "API key with which Prometheus reads the gateway's metrics."),
)
"""Only docker-compose.yml and the files beside it read them."""
HUBS = (
    Variable("HF_HOME", "Folder of Hugging Face's cache.", "~/.cache/huggingface", "~/.cache/huggingface"),
    Variable("HF_ENDPOINT", "URL of Hugging Face, or of a mirror.", "https://huggingface.co", "https://huggingface.co"),
    Variable("HF_TOKEN", "Token for models on Hugging Face that need one."),
    Variable("MODELSCOPE_ENDPOINT", "URL of ModelScope.", "https://modelscope.cn", "https://modelscope.cn"),
    Variable("MODELSCOPE_API_TOKEN", "Token for models on ModelScope that need one."),
    Variable("HTTPS_PROXY", "Proxy for downloads.", example="http://proxy.example:3128"),
)
TRACES = (
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "URL of an OpenTelemetry collector. If it is set, the services send traces to it.",
        example="http://127.0.0.1:4318",
    ),
    Variable(
        "OTEL_TRACES_SAMPLER",
        "Which requests are traced. docker-compose.traces.yml sets `parentbased_traceidratio`.",
        "parentbased_always_on",
        "parentbased_traceidratio",
    ),
    Variable("OTEL_TRACES_SAMPLER_ARG", "The share of requests that is traced.", "1.0", "0.01"),
)
"""OpenTelemetry's own packages read them."""
UNLISTED = (
    "RAPL_SUPERVISOR_PIPE",
    "RAPL_SITE",  # deploy/caddy/Caddyfile
    "RAPL_UPSTREAM",
    "RAPL_SENSEVOICE_PYTHON",  # Python environments for the tests and the benchmark
    "RAPL_MLX_PYTHON",
    "RAPL_REAL_PYTHON",
    "RAPL_BENCH_FUNASR_PYTHON",
    "RAPL_BENCH_LITELLM_PYTHON",
    "RAPL_BENCH_MLX_PYTHON",
    "RAPL_BENCH_REAL_PYTHON",
    "RAPL_BENCH_SENSEVOICE_PYTHON",
)
"""Names that are known, but that no user of RAPL has to set."""
