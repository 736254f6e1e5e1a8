"""8-bit activations with one scale per frame, as operations of the graph: faster on processors with AMX.

On other processors OpenVINO scales activations itself. With AMX it does not: it converts every matrix to bfloat16 again
for every few frames. If the graph makes the activations 8 bits, OpenVINO multiplies the 8-bit matrices directly.
"""

from pathlib import Path
from typing import Any

import numpy as np

_CPU_FLAGS = Path("/proc/cpuinfo")
_TINY = np.float32(1e-9)
"""Replaces a frame's highest activation if it is 0."""


def has_amx_int8(cpu_flags: Path = _CPU_FLAGS) -> bool:
    """Whether the processor has AMX for 8-bit integers. Only Linux is checked.

    Source of the flag: arch/x86/include/asm/cpufeatures.h of Linux.
    """
    try:
        return "amx_int8" in cpu_flags.read_text().split()
    except OSError:
        return False


def scale_each_frame(model: Any) -> None:
    """Changes every product with an 8-bit matrix in a graph of `graph.sensevoice_graph`.

    y = x W becomes y = s (round(127 x / s) / 127) W, where s is the highest |x| of the frame. The output of a ReLU is
    never negative, so it has 255 steps instead of 127.
    """
    from openvino import opset13 as op

    last_axis = op.constant(np.array([-1]))
    zero, one, minus_one, tiny = (op.constant(np.float32(value)) for value in (0, 1, -1, _TINY))
    for product in [each for each in model.get_ordered_ops() if _has_8_bit_matrix(each)]:
        x, matrix = product.input_value(0), product.input_value(1)
        users = list(product.output(0).get_target_inputs())
        if x.get_node().get_type_name() == "Relu":
            x = op.maximum(x.get_node().input_value(0), tiny)
            scale = op.reduce_max(x, last_axis, True)
            whole = op.fake_quantize(op.divide(x, scale), zero, one, zero, one, 256)
        else:
            scale = op.reduce_max(op.add(op.abs(x), tiny), last_axis, True)
            whole = op.fake_quantize(op.divide(x, scale), minus_one, one, minus_one, one, 255)
        scaled = op.multiply(op.matmul(whole, matrix, False, True), scale)
        for user in users:
            user.replace_source_output(scaled.output(0))
    model.validate_nodes_and_infer_types()


def _has_8_bit_matrix(node: Any) -> bool:
    """Whether the node is a product with an 8-bit matrix as `graph` writes it: integers times one scale per row."""
    if node.get_type_name() != "MatMul":
        return False
    matrix = node.input_value(1).get_node()
    return matrix.get_type_name() == "Multiply" and matrix.input_value(0).get_node().get_type_name() == "Convert"
