"""A small Qwen3-ASR in torch, with the parameter names and the mathematics of `mlx_audio.stt.models.qwen3_asr` 0.6.2.

It trains in torch because mlx's CPU backend computes float32 products about thirty times slower.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHUNK_FRAMES = 100
"""The encoder's convolutions process one second at a time (`n_window` 50, doubled)."""
CHUNK_POSITIONS = 13
"""Audio positions of a whole chunk."""


@dataclass(frozen=True)
class Dimensions:
    mel_bins: int = 128
    channels: int = 32
    audio_width: int = 128
    audio_layers: int = 2
    audio_heads: int = 4
    audio_hidden: int = 256
    text_width: int = 128
    text_layers: int = 2
    text_heads: int = 4
    text_kv_heads: int = 2
    head_width: int = 32
    text_hidden: int = 256
    rope_base: float = 1e6
    norm_epsilon: float = 1e-6


def audio_positions(frames: int) -> int:
    """Returns the positions of `frames` of 10 ms. Source: `_get_feat_extract_output_lengths` of mlx-audio."""
    chunks, rest = divmod(frames, CHUNK_FRAMES)
    for _ in range(3):
        rest = -(-rest // 2)
    return chunks * CHUNK_POSITIONS + rest


class AudioLayer(nn.Module):
    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        width = size.audio_width
        self.heads = size.audio_heads
        self.self_attn = nn.ModuleDict(
            {name: nn.Linear(width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")}
        )
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, size.audio_hidden)
        self.fc2 = nn.Linear(size.audio_hidden, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """`hidden` (batch, positions, width); `mask` bool, (batch, 1, 1, positions)."""
        normed = self.self_attn_layer_norm(hidden)
        query, key, value = (
            self.self_attn[name](normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        hidden = hidden + self.self_attn["out_proj"](attended.transpose(1, 2).flatten(2))
        return hidden + self.fc2(F.gelu(self.fc1(self.final_layer_norm(hidden))))


class AudioTower(nn.Module):
    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        width, channels = size.audio_width, size.channels
        self.conv2d1 = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.conv2d2 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.conv2d3 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.conv_out = nn.Linear(channels * size.mel_bins // 8, width, bias=False)
        self.layers = nn.ModuleList(AudioLayer(size) for _ in range(size.audio_layers))
        self.ln_post = nn.LayerNorm(width)
        self.proj1 = nn.Linear(width, width)
        self.proj2 = nn.Linear(width, size.text_width)
        self.register_buffer("sinusoids", _sinusoids(CHUNK_POSITIONS, width), persistent=False)

    def forward(self, features: Tensor, positions: Tensor) -> Tensor:
        """Encodes `features` (batch, mel bins, whole chunks of frames), of which `positions` (batch,) hold audio.

        Returns (batch, chunks * 13, text width).
        """
        batch, mel_bins, frames = features.shape
        chunks = features.view(batch, mel_bins, frames // CHUNK_FRAMES, CHUNK_FRAMES).transpose(1, 2)
        images = chunks.reshape(-1, 1, mel_bins, CHUNK_FRAMES)
        for convolution in (self.conv2d1, self.conv2d2, self.conv2d3):
            images = F.gelu(convolution(images))
        columns = images.permute(0, 3, 1, 2).flatten(2)
        hidden = (self.conv_out(columns) + self.sinusoids).view(batch, -1, self.conv_out.out_features)
        mask = torch.arange(hidden.shape[1]) < positions[:, None]
        for layer in self.layers:
            hidden = layer(hidden, mask[:, None, None, :])
        return self.proj2(F.gelu(self.proj1(self.ln_post(hidden))))


def _sinusoids(length: int, width: int) -> Tensor:
    """Returns the position embedding of Whisper; (length, width)."""
    half = width // 2
    rates = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def rotate(heads: Tensor, base: float) -> Tensor:
    """Applies rotary position embedding to `heads` (batch, heads, length, width), `traditional=False`."""
    length, width = heads.shape[-2:]
    rates = base ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    first, second = heads.chunk(2, dim=-1)
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class TextLayer(nn.Module):
    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        width, head = size.text_width, size.head_width
        self.size = size
        self.self_attn = nn.ModuleDict(
            {
                "q_proj": nn.Linear(width, size.text_heads * head, bias=False),
                "k_proj": nn.Linear(width, size.text_kv_heads * head, bias=False),
                "v_proj": nn.Linear(width, size.text_kv_heads * head, bias=False),
                "o_proj": nn.Linear(size.text_heads * head, width, bias=False),
                "q_norm": nn.RMSNorm(head, eps=size.norm_epsilon),
                "k_norm": nn.RMSNorm(head, eps=size.norm_epsilon),
            }
        )
        self.mlp = nn.ModuleDict(
            {
                "gate_proj": nn.Linear(width, size.text_hidden, bias=False),
                "up_proj": nn.Linear(width, size.text_hidden, bias=False),
                "down_proj": nn.Linear(size.text_hidden, width, bias=False),
            }
        )
        self.input_layernorm = nn.RMSNorm(width, eps=size.norm_epsilon)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=size.norm_epsilon)

    def forward(self, hidden: Tensor) -> Tensor:
        """`hidden` (batch, length, width); attention is causal."""
        hidden = hidden + self._attend(self.input_layernorm(hidden))
        normed = self.post_attention_layernorm(hidden)
        gated = F.silu(self.mlp["gate_proj"](normed)) * self.mlp["up_proj"](normed)
        return hidden + self.mlp["down_proj"](gated)

    def _attend(self, normed: Tensor) -> Tensor:
        size, attention = self.size, self.self_attn
        query, key, value = (
            attention[name](normed).unflatten(-1, (-1, size.head_width)) for name in ("q_proj", "k_proj", "v_proj")
        )
        query = rotate(attention["q_norm"](query).transpose(1, 2), size.rope_base)
        key = rotate(attention["k_norm"](key).transpose(1, 2), size.rope_base)
        shared_by = size.text_heads // size.text_kv_heads
        attended = F.scaled_dot_product_attention(
            query,
            key.repeat_interleave(shared_by, dim=1),
            value.transpose(1, 2).repeat_interleave(shared_by, dim=1),
            is_causal=True,
        )
        return attention["o_proj"](attended.transpose(1, 2).flatten(2))


class TextModel(nn.Module):
    def __init__(self, size: Dimensions, vocabulary_size: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary_size, size.text_width)
        nn.init.normal_(self.embed_tokens.weight, std=0.05)
        self.layers = nn.ModuleList(TextLayer(size) for _ in range(size.text_layers))
        self.norm = nn.RMSNorm(size.text_width, eps=size.norm_epsilon)

    def forward(self, embedded: Tensor) -> Tensor:
        """Returns the hidden state after every position of `embedded` (batch, length, width), in the same shape."""
        for layer in self.layers:
            embedded = layer(embedded)
        return self.norm(embedded)


class DigitsASR(nn.Module):
    """The two halves under the names of the MLX checkpoint. The output head is the embedding (tied)."""

    def __init__(self, size: Dimensions, vocabulary_size: int) -> None:
        super().__init__()
        self.audio_tower = AudioTower(size)
        self.model = TextModel(size, vocabulary_size)

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.model.embed_tokens.weight.T
