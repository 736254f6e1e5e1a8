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
