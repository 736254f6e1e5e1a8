"""Decoding with a draft: a text that the model wrote for nearly the same audio.

A decoder computes one token after another, because each depends on those before it. With a draft, it computes what
follows each token of the draft in one call, which takes hardly longer than one token. The tokens are chosen from these
results as long as those of the draft are chosen. From the first other one on, each token is computed as always. So the
text is the same as without a draft, up to the rounding of products of another shape.

The objects here take the place of a model in one call; the model is not changed. Source: mlx_audio 0.6.2,
stt/models/whisper/decoding.py, stt/models/qwen3_asr/qwen3_asr.py and lm/generate.py.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any


class Draft:
    """The tokens of a draft, and what follows each of them.

    Args:
        tokens: may be wrong. Numbers that are no tokens of the vocabulary are left out.
        vocabulary: number of tokens of the model.
    """

    def __init__(self, tokens: Iterable[int], vocabulary: int) -> None:
        self.tokens: Sequence[int] = [token for token in tokens if 0 <= token < vocabulary]
        self._chosen = 0
        self._logits: Any = None

    def array(self, like: Any, limit: int | None = None) -> Any:
        """Returns the tokens, (1, tokens), with the type of another array of tokens. More than `limit` are dropped."""
        import mlx.core as mx

        self.tokens = self.tokens[:limit]
        return mx.array([self.tokens], dtype=like.dtype)

    def keep(self, logits: Any) -> Any:
        """Keeps the logits that follow the tokens of the draft, and returns those before: (1, tokens, vocabulary)."""
        end = logits.shape[1] - len(self.tokens)
        self._logits = logits[:, end:]
        return logits[:, :end]

    @property
    def is_open(self) -> bool:
        """Whether all tokens that were chosen so far are those of the draft."""
        return self._logits is not None

    def after(self, token: int) -> Any:
        """Returns the logits after the token that was chosen; None if it is not the next one of the draft."""
        if self._chosen == len(self.tokens) or token != self.tokens[self._chosen]:
            return None
        self._chosen += 1
        return self._logits[:, self._chosen - 1 : self._chosen]

    def close(self) -> int:
        """Returns how many tokens of the draft were not chosen. The model must forget them and go on alone."""
        self._logits = None
        return len(self.tokens) - self._chosen


class DraftedWhisper:
    """A Whisper model with a draft, for one call of `decode`.

    Args:
        model: the model.
        draft: tokens with which the window's text probably begins.
        check: called before each token; may raise.
    """

    def __init__(self, model: Any, draft: Sequence[int], check: Callable[[], None]) -> None:
        self._model = model
        self._tokens = draft
        self._check = check
        self._draft = Draft((), 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def decoder(self, tokens: Any, audio_features: Any, kv_cache: Any = None) -> tuple[Any, Any, Any]:
        """As the model's decoder: returns the logits, the keys and values, and the weights of the attention."""
        self._check()
        if kv_cache is None:
            return self._begin(tokens, audio_features)
        if self._draft.is_open:
            if (logits := self._draft.after(tokens.item())) is not None:
                return logits, kv_cache, None
            kv_cache = _shortened(kv_cache, self._draft.close())
        return self._model.decoder(tokens, audio_features, kv_cache=kv_cache)

    def _begin(self, tokens: Any, audio_features: Any) -> tuple[Any, Any, Any]:
        import mlx.core as mx

        dims = self._model.dims
        self._draft = Draft(self._tokens, dims.n_vocab)
        draft = self._draft.array(tokens, dims.n_text_ctx - tokens.shape[1])
        if not draft.size:
            return self._model.decoder(tokens, audio_features)
        logits, kv_cache, weights = self._model.decoder(mx.concatenate([tokens, draft], axis=1), audio_features)
        return self._draft.keep(logits), kv_cache, weights


def _shortened(kv_cache: Any, count: int) -> list[Any]:
    """Returns the keys and values without those of the last `count` tokens; those of the audio are kept."""
    return [
        ((keys[:, : keys.shape[1] - count], values[:, : values.shape[1] - count]), audio)
        for (keys, values), audio in kv_cache
    ]


class DraftedQwen3Asr:
    """A Qwen3-ASR model with a draft, for one call of `stream_generate`, which gives it to `generate_step`.

    Args:
        model: the model.
        draft: tokens with which its text probably begins.
    """

    def __init__(self, model: Any, draft: Sequence[int]) -> None:
        self._model = model
        self._draft = Draft(draft, model.config.text_config.vocab_size)
        self._prompt_left = 0
        """Tokens of the prompt that the model does not have yet."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def _build_inputs_embeds(self, input_ids: Any, audio_features: Any) -> Any:
        self._prompt_left = input_ids.shape[-1]
        return self._model._build_inputs_embeds(input_ids, audio_features)

    def __call__(self, input_ids: Any, cache: Any, input_embeddings: Any = None) -> Any:
        """As the model: returns the logits after each token, (1, tokens, vocabulary)."""
        if input_embeddings is not None:
            self._prompt_left -= input_ids.shape[1]
            if self._prompt_left == 0 and self._draft.tokens:
                return self._end_of_prompt(input_ids, cache, input_embeddings)
            return self._model(input_ids, cache=cache, input_embeddings=input_embeddings)
        if self._draft.is_open:
            if (logits := self._draft.after(input_ids.item())) is not None:
                return logits
            count = self._draft.close()
            for each in cache:
                each.trim(count)
        return self._model(input_ids, cache=cache)

    def _end_of_prompt(self, input_ids: Any, cache: Any, input_embeddings: Any) -> Any:
        import mlx.core as mx

        draft = self._draft.array(input_ids)
        embeddings = self._model.model.embed_tokens(draft).astype(input_embeddings.dtype)
        logits = self._model(
            mx.concatenate([input_ids, draft], axis=1),
            cache=cache,
            input_embeddings=mx.concatenate([input_embeddings, embeddings], axis=1),
        )
        return self._draft.keep(logits)
