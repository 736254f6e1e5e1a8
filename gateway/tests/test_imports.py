import subprocess
import sys

HEAVY = ("numpy", "torch", "av", "onnxruntime", "mlx", "funasr")


def test_the_gateway_and_the_protocol_import_no_model_or_media_library():
    program = (
        "import sys, rapl_gateway.__main__, rapl_gateway.app, rapl_service.calls.clients, rapl_service.engine_app\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert ended.stdout.strip() == "[]", ended.stderr
