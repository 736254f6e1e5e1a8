"""SenseVoiceSmall as an OpenVINO graph, built from its weights.

    speech    float32 (batch, frames, 560)            normalised features
    queries   int32   (batch, 4)                      rows of the embedding: language, event, emotion, text norm
    positions float32 (1, 4 + frames, 560)            see `positions`
    is_real   float32 (batch, 4 + frames, 1)          1, or 0 for padding
    count     int32   ()                              how many tokens to return for each frame, see `most_probable`
    tokens    int32   (batch, 4 + frames, count)      the most probable tokens of each frame: four tags, then the text
    log_probs float32 (batch, 4 + frames, count)      their log-probabilities

The graph is built directly, not traced and not converted from ONNX, so that it contains only operations that OpenVINO
runs fast (`docs/decisions/0007`). Padding has no effect on other frames.

Source: funasr/models/sense_voice/model.py, FunASR 1.4.16.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Precision = Literal["int8", "f32"]
Floats: TypeAlias = npt.NDArray[np.float32]
Weights: TypeAlias = Mapping[str, Floats]

QUERIES = 4
"""Frames of queries before the speech."""
BLOCKS = ("encoders0", "encoders", "tp_encoders")
EPSILON = 1e-5
_LOGITS_PER_ROW = 128
_NEVER = np.float32(-1e9)
"""Logit of padding tokens, and attention score of padding frames."""


def positions(frames: int, dimensions: int) -> npt.NDArray[np.float32]:
    """Returns float32, (1, frames, dimensions): sines and cosines, from position 1 on.

    It is an input of the graph, because bfloat16 cannot distinguish neighbouring positions above 256.
    """
    step = np.log(np.float32(10_000)) / np.float32(dimensions / 2 - 1)
    inverse = np.exp(np.arange(dimensions / 2, dtype=np.float32) * -step)
    angles = np.arange(1, frames + 1, dtype=np.float32)[:, None] * inverse
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[None]


def sensevoice_graph(weights: Weights, heads: int, precision: Precision) -> Any:
    """Builds an `openvino.Model`.

    Args:
        weights: SenseVoiceSmall's state dictionary.
        heads: attention heads.
        precision: of the matrices; "int8" is 8 bits with one scale per row.

    Raises:
        KeyError: `weights` is not the state dictionary of a SenseVoiceSmall.
    """
    import openvino
    from openvino import opset13 as op

    embedding = weights["embed.weight"]
    width = float(np.float32(weights["encoder.after_norm.weight"].shape[0] ** 0.5))
    speech = op.parameter([-1, -1, embedding.shape[1]], np.float32, name="speech")
    queries = op.parameter([-1, QUERIES], np.int32, name="queries")
    position_input = op.parameter([1, -1, embedding.shape[1]], np.float32, name="positions")
    is_real = op.parameter([-1, -1, 1], np.float32, name="is_real")
    count = op.parameter([], np.int32, name="count")
    build = _Builder(weights, heads, precision, is_real)
    embedded_queries = op.gather(op.constant(embedding), queries, op.constant(np.int64(0)))
    x = op.multiply(op.concat([embedded_queries, speech], 1), op.constant(np.float32(width)))
    x = op.add(x, position_input)
    for group in BLOCKS:
        for block in range(build.blocks_in(group)):
            x = build.block(x, f"encoder.{group}.{block}")
        if group == "encoders":
            x = build.norm(x, "encoder.after_norm")
    tokens, log_probs = build.most_probable(build.norm(x, "encoder.tp_norm"), "ctc.ctc_lo", count)
    tokens.output(0).set_names({"tokens"})
    log_probs.output(0).set_names({"log_probs"})
    results = [op.result(tokens), op.result(log_probs)]
    model: Any = openvino.Model  # its type annotations are incomplete
    return model(results, [speech, queries, position_input, is_real, count], "sensevoice")


class _Builder:
    """Builds the layers. `name` is the prefix of a layer's weights; tensors are (batch, frames, width)."""

    def __init__(self, weights: Weights, heads: int, precision: Precision, is_real: Any) -> None:
        from openvino import opset13

        self._op = op = opset13
        self._weights = weights
        self._heads = heads
        self._precision = precision
        self._is_real = is_real
        never = op.multiply(op.subtract(op.constant(np.float32(1)), is_real), op.constant(_NEVER))
        # (batch, 1, 1, frames): added to the scores, which are (batch, heads, frames, frames attended to)
        self._never = op.unsqueeze(op.transpose(never, op.constant(np.array([0, 2, 1]))), op.constant(np.int64(1)))

    def blocks_in(self, group: str) -> int:
        names = {name.split(".")[2] for name in self._weights if name.startswith(f"encoder.{group}.")}
        return len(names)

    def block(self, x: Any, name: str) -> Any:
        """Attention with a memory, then two linear layers, each after a norm. The input of the first block is wider."""
        op = self._op
        attended = self._attention(self.norm(x, f"{name}.norm1"), f"{name}.self_attn")
        same_width = self._weights[f"{name}.norm1.weight"].shape == self._weights[f"{name}.norm2.weight"].shape
        x = op.add(x, attended) if same_width else attended
        hidden = op.relu(self.linear(self.norm(x, f"{name}.norm2"), f"{name}.feed_forward.w_1"))
        return op.add(x, self.linear(hidden, f"{name}.feed_forward.w_2"))

    def norm(self, x: Any, name: str) -> Any:
        op = self._op
        normal = op.mvn(x, op.constant(np.array([-1])), True, EPSILON, "inside_sqrt")
        scaled = op.multiply(normal, op.constant(self._weights[f"{name}.weight"]))
        return op.add(scaled, op.constant(self._weights[f"{name}.bias"]))

    def linear(self, x: Any, name: str) -> Any:
        return self._linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def most_probable(self, x: Any, name: str, count: Any) -> tuple[Any, Any]:
        """The `count` tokens with the highest logits of a linear layer, the highest first, and their log-probabilities.

        `count` is at most the number of tokens. The results are (batch, frames, count). The first of several equal
        logits comes first, so that the first token is the same for every `count`.

        It finds the `count` rows of 128 logits with the highest maxima, which contain the tokens, and then searches
        these rows. For a 30 s clip (1,030 ms) and one token, this takes 3 ms; a search of all 25,055 logits takes 26
        ms. The log-probabilities take 2.4 ms more on two threads (decision 0007).
        """
        op = self._op
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        missing = -len(bias) % _LOGITS_PER_ROW
        padded = np.pad(weight, ((0, missing), (0, 0))), np.pad(bias, (0, missing), constant_values=_NEVER)
        logits = self._linear(x, *padded)
        rows = (len(bias) + missing) // _LOGITS_PER_ROW
        by_row = op.reshape(logits, op.constant(np.array([0, 0, rows, _LOGITS_PER_ROW])), True)
        highest = self._unchanged(op.reduce_max(by_row, op.constant(np.array([3]))), rows)
        row_count = op.minimum(count, op.constant(np.int32(rows)))
        found_rows = op.topk(highest, row_count, -1, "max", "index", index_element_type="i32").output(1)
        candidates = self._unchanged(op.gather(by_row, found_rows, op.constant(np.int64(2)), 2), _LOGITS_PER_ROW)
        first_tokens = op.multiply(found_rows, op.constant(np.int32(_LOGITS_PER_ROW)))
        columns = op.constant(np.arange(_LOGITS_PER_ROW, dtype=np.int32))
        tokens = op.add(op.unsqueeze(first_tokens, op.constant(np.array([3]))), columns)
        one_row = op.constant(np.array([0, 0, -1]))
        best = op.topk(
            op.reshape(candidates, one_row, True), count, -1, "max", "value", index_element_type="i32", stable=True
        )
        log_probs = self._log_probs(best.output(0), by_row)
        return op.gather_elements(op.reshape(tokens, one_row, True), best.output(1), -1), log_probs

    def _log_probs(self, best: Any, by_row: Any) -> Any:
        """Converts logits to log-probabilities: (batch, frames, count), the highest first.

        The sum over a row is a product with ones, because OpenVINO computes in float32 after the last matrix: an
        ordinary sum took 4 ms more for a 30 s clip, most of them to convert all logits.
        """
        op = self._op
        numbers = (op.constant(np.array([number])) for number in (0, 1, 1, 2))
        highest = op.slice(best, *numbers)
        ratios = op.exp(op.subtract(by_row, op.unsqueeze(highest, op.constant(np.array([3])))))
        ones = op.constant(np.ones((_LOGITS_PER_ROW, 1), np.float32))
        total = op.reduce_sum(op.matmul(ratios, ones, False, False), op.constant(np.array([2])))
        return op.subtract(op.subtract(best, highest), op.log(total))

    def _unchanged(self, x: Any, width: int) -> Any:
        """Multiplies by an identity matrix, so that what comes before it is computed in bfloat16 (`_log_probs`)."""
        return self._op.matmul(x, self._op.constant(np.eye(width, dtype=np.float32)), False, True)

    def _linear(self, x: Any, weight: Floats, bias: Floats) -> Any:
        op = self._op
        return op.add(op.matmul(x, self._matrix(weight), False, True), op.constant(bias))

    def _matrix(self, matrix: Floats) -> Any:
        """Returns the matrix, (out, in).

        "int8" is integers times one scale per output row. OpenVINO multiplies the integers as they are.
        """
        op = self._op
        if self._precision == "f32":
            return op.constant(matrix)
        scale = np.maximum(np.abs(matrix).max(axis=1, keepdims=True), np.finfo(np.float32).tiny) / 127
        whole = np.rint(matrix / scale).astype(np.int8)
        return op.multiply(op.convert(op.constant(whole), "f32"), op.constant(scale.astype(np.float32)))

    def _attention(self, x: Any, name: str) -> Any:
        op = self._op
        width = self._weights[f"{name}.linear_out.bias"].shape[0]
        channels = width // self._heads
        # The scale of the scores is multiplied into the query's weights.
        scale = np.ones((3, width), np.float32)
        scale[0] = channels**-0.5
        weight, bias = (self._weights[f"{name}.linear_q_k_v.{which}"] for which in ("weight", "bias"))
        joined = self._linear(x, weight * scale.reshape(-1, 1), bias * scale.reshape(-1))
        thirds = op.constant(np.full(3, width))
        query, key, value = op.variadic_split(joined, op.constant(np.int64(2)), thirds).outputs()
        heads_first = op.constant(np.array([0, 2, 1, 3]))
        per_head = op.constant(np.array([0, 0, self._heads, channels]))
        by_head = [op.transpose(op.reshape(part, per_head, True), heads_first) for part in (query, key, value)]
        scores = op.add(op.matmul(by_head[0], by_head[1], False, True), self._never)
        weights = op.softmax(scores, -1)
        context = op.transpose(op.matmul(weights, by_head[2], False, False), heads_first)
        merged = op.reshape(context, op.constant(np.array([0, 0, width])), True)
        memory = self._memory(op.multiply(value, self._is_real), f"{name}.fsmn_block.weight")
        return op.add(self.linear(merged, f"{name}.linear_out"), memory)

    def _memory(self, value: Any, name: str) -> Any:
        """The FSMN: a weighted sum of each channel over a few frames before and after, added to the channel itself."""
        op = self._op
        kernel = self._weights[name].copy()  # (width, 1, taps)
        taps = kernel.shape[2]
        before = (taps - 1) // 2
        kernel[:, 0, before] += 1
        swap = op.constant(np.array([0, 2, 1]))
        memory = op.group_convolution(
            op.transpose(value, swap), op.constant(kernel[:, None]), [1], [before], [taps - 1 - before], [1]
        )
        return op.transpose(memory, swap)
