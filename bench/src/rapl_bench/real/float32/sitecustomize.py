"""Python imports this module at its start, before mlx-audio.

mlx-audio computes Whisper in float16 whatever the checkpoint has, and mlx's float16 products on a CPU use no BLAS: 11 s
of audio then take Whisper base about a minute. With float32 under the name of float16 they take seconds.
Source: mlx_audio/stt/models/whisper/whisper.py, 0.6.2, `Model.__init__` and `Model.sanitize`.
"""


def _replace_float16() -> None:
    import mlx.core as mx

    mx.float16 = mx.float32


_replace_float16()
