"""Mixes the channels of a track so that no voice is lost.

FFmpeg's own mix loses a voice in two ways: it leaves bass channels out, and two channels with opposite polarity cancel
each other. Here every channel counts, whatever its place is called, and a channel that would cancel another one is
turned over.
"""

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.plane import AudioPlane

MAX_CHANNELS = 64
"""Most channels that are mixed. It is also the most that FFmpeg's resampler takes (SWR_CH_MAX)."""
_PLAIN_STEREO = frozenset({"stereo", "2 channels"})
_SAMPLE_TYPES: dict[str, type[np.generic]] = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "s64": np.int64,
    "flt": np.float32,
    "dbl": np.float64,
}
_CANCELS = -0.7
"""Two channels cancel each other if their similarity is below this. The mix then gains 7.5 dB or more if one of them is
turned over. Similarity is 1.0 for equal channels, 0.0 for unrelated ones and -1.0 for opposite ones."""
_MAY_CANCEL = -0.3
"""Above this similarity of single samples, the channels are not compared more closely."""
_STRETCH_S = 0.125
"""Shortest stretch for which polarity and gain are decided: long enough for several periods of a voice."""
_FADE_S = 0.01
"""Duration of the change from the weights of one stretch to those of the next one, so that it is not heard."""
_COMPARED_HZ = 4_000
"""Channels are compared at about this sample rate: the band in which voices are loudest."""
_GAIN_MEMORY_S = 10.0
"""Time after which a sound has lost two thirds of its influence on the gain. A pause does not change the gain."""
_MIN_DIVISOR = 2.0
"""A voice on one channel of many is as loud as a voice on one channel of stereo."""
_SHARES_BESIDE_A_CENTRE = {"FC": 1.0, "FL": 0.707, "FR": 0.707}
_SHARE_OF_OTHERS = 0.5
"""Shares of the channels in a layout with a centre, where films have their dialogue: those of FFmpeg's own mix, except
that bass channels have one too. With equal shares a film's voice is 3.5 dB weaker against its music.

Source: `build_matrix` of https://ffmpeg.org/doxygen/trunk/rematrix_8c_source.html
"""
_LARGEST = 1 - 2**-15
"""Largest sample, as a part of full scale: the largest one of s16. It is exact in float32, and less than full scale
itself, which no type of whole numbers has."""
_TINY = 1e-12


class ChannelMixer:
    """Mixes frames that have the layout, rate and sample format of the first one.

    Stereo frames stay stereo, for the resampler to mix; only where the channels cancel each other, the second one is
    turned over in place. Frames with any other layout become mono. The sum of the channels is divided by the number of
    channels that hold sound, and at least by 2: equally loud channels become their mean, and a voice on one channel of
    many is as loud as on one channel of stereo, whichever channel that is.
    """

    def __init__(self, first: AudioFrame) -> None:
        self.keeps_stereo = first.layout.name in _PLAIN_STEREO
        """Whether `mixed` returns stereo in the format of its input. Otherwise it returns mono in fltp."""
        self._channels = first.layout.nb_channels
        self._rate_hz = first.sample_rate
        self._type = np.dtype(_SAMPLE_TYPES[first.format.packed.name])
        self._is_planar = first.format.is_planar
        self._full_scale = 1.0 if self._type.kind == "f" else float(2 ** (8 * self._type.itemsize - 1))
        self._float = np.float64 if self._type.itemsize == 8 else np.float32
        self._step = max(1, self._rate_hz // _COMPARED_HZ)
        self._zero = 128 if self._type.kind == "u" else 0
        self._shares = _shares(first)
        self._signs = np.ones(self._channels, np.float32)
        self._energy = np.zeros(self._channels)
        self._weights = np.ones(1, np.float32) if self.keeps_stereo else None
        """The weights at the end of the previous frame: one for each channel, or that of the second stereo channel."""

    def mixed(self, frame: AudioFrame) -> AudioFrame:
        """Returns the mix of `frame`. Its samples may be changed."""
        channels = self._channels_of(frame)
        with np.errstate(over="ignore", invalid="ignore"):  # float samples may be anything
            if self.keeps_stereo and self._is_ordinary(channels):
                return frame
            signs, divisors = self._weighed(channels)
        if self.keeps_stereo:
            self._turn_over(channels[1], signs[:, 1:])
            return frame
        return self._mono(channels, signs * self._shares / divisors[:, None])

    def _weighed(self, channels: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the results of `_signs_of` and `_divisors`. Samples that are no numbers become 0."""
        products = self._products(self._averaged(channels), len(channels[0]))
        if not np.isfinite(products).all():
            for channel in channels:
                np.nan_to_num(channel, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            products = self._products(self._averaged(channels), len(channels[0]))
            products = np.nan_to_num(products, nan=0.0, posinf=0.0, neginf=0.0)
        return self._signs_of(products), self._divisors(products)

    def _channels_of(self, frame: AudioFrame) -> list[np.ndarray]:
        """Returns writable views of the samples of each channel.

        `frame.planes` of av 18.1 looks for the end of a list that has none from eight planar channels on.
        """
        if self._is_planar:
            planes = [AudioPlane(frame, number) for number in range(self._channels)]
            return [np.frombuffer(memoryview(plane), self._type)[: frame.samples] for plane in planes]
        packed = np.frombuffer(memoryview(AudioPlane(frame, 0)), self._type)[: frame.samples * self._channels]
        return list(packed.reshape(-1, self._channels).T)

    def _is_ordinary(self, channels: list[np.ndarray]) -> bool:
        """Returns whether two channels clearly do not cancel each other, and the second one is not turned over.

        It looks at single samples instead of averages, which takes 10 µs of the 170 µs that a block of AAC takes.
        """
        if self._signs[1] < 0:
            return False
        few = np.array([channel[:: self._step] for channel in channels], self._float)
        products = self._products(few, len(channels[0])).tolist()
        return all(2 * lr > _MAY_CANCEL * (ll + rr) or ll == rr == 0 for (ll, lr), (_, rr) in products)

    def _averaged(self, channels: list[np.ndarray]) -> np.ndarray:
        """Returns the channels at about _COMPARED_HZ; (channels, samples).

        Higher frequencies are left out: there, two microphones at a distance are opposite by their nature.
        """
        count = len(channels[0]) // self._step
        samples = np.array([channel[: count * self._step] for channel in channels], self._float)
        return samples.reshape(self._channels, count, self._step) @ np.ones(self._step, self._float)

    def _products(self, few: np.ndarray, samples: int) -> np.ndarray:
        """Returns the inner products of all pairs of channels; (stretches, channels, channels).

        Changes from sample to sample are compared: hum and a constant offset are often the same in both channels, and
        would hide that the voices are opposite.

        Args:
            few: the channels at a low sample rate.
            samples: the number of samples before that.
        """
        changes = few[:, 1:] - few[:, :-1]
        stretches = max(1, int(samples / (self._rate_hz * _STRETCH_S)))
        if stretches == 1:
            return (changes @ changes.T)[None]
        length = changes.shape[1] // stretches
        parts = changes[:, : stretches * length].reshape(self._channels, stretches, length).transpose(1, 0, 2)
        return parts @ parts.transpose(0, 2, 1)

    def _signs_of(self, products: np.ndarray) -> np.ndarray:
        """Returns 1 or -1 for each channel in each stretch; (stretches, channels).

        A channel is compared with the most similar one of those before it. Its sign is kept until the two cancel each
        other. So pauses and unrelated sounds do not change it.
        """
        energy = np.einsum("kcc->kc", products)
        similarity = 2 * products / (energy[:, :, None] + energy[:, None, :] + _TINY)
        if (self._signs > 0).all() and (similarity > _CANCELS).all():
            return np.ones_like(energy)
        signs = np.empty_like(energy)
        for stretch, similar in enumerate(similarity):
            for channel in range(1, self._channels):
                other = np.abs(similar[channel, :channel]).argmax()
                if similar[channel, other] * self._signs[channel] * self._signs[other] < _CANCELS:
                    self._signs[channel] = -self._signs[channel]
            signs[stretch] = self._signs
        return signs

    def _divisors(self, products: np.ndarray) -> np.ndarray:
        """Returns by what the sum of the channels' shares is divided in each stretch.

        It is the number of channels that hold sound, times their mean share. The number is not whole: it is 1 / (sum of
        the squares of their parts of the energy), which is 1.0 if one channel has all the sound.
        """
        divisors = []
        for energy in np.einsum("kcc->kc", products):
            self._energy = self._energy * np.exp(-_STRETCH_S / _GAIN_MEMORY_S) + energy
            parts = self._energy / (self._energy.sum() + _TINY)
            active = 1 / ((parts**2).sum() + _TINY)
            divisors.append(min(max(active, _MIN_DIVISOR), self._channels) * (self._shares @ parts or 1.0))
        return np.array(divisors, np.float32)

    def _turn_over(self, channel: np.ndarray, signs: np.ndarray) -> None:
        turned = self._weighted([channel], signs)
        if self._type.kind != "f":
            turned = np.rint(turned).clip(-self._full_scale, self._full_scale * _LARGEST) + self._zero
        channel[:] = turned

    def _mono(self, channels: list[np.ndarray], weights: np.ndarray) -> AudioFrame:
        mix = self._weighted(channels, weights / self._full_scale).astype(np.float32)
        frame = AudioFrame.from_ndarray(mix[None], format="fltp", layout="mono")
        frame.sample_rate = self._rate_hz
        return frame

    def _weighted(self, channels: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """Returns the weighted sum of channels, (samples,), with a fade where the weights change.

        Args:
            weights: (stretches, channels).
        """
        samples = np.array(channels, self._float) - self._zero
        before = weights[0] if self._weights is None else self._weights
        length = samples.shape[1] // len(weights)
        fade = np.linspace(1, 0, max(1, int(self._rate_hz * _FADE_S)), dtype=np.float32)
        parts = []
        for stretch, after in enumerate(weights):
            is_last = stretch == len(weights) - 1
            part = samples[:, stretch * length : None if is_last else (stretch + 1) * length]
            mix = after @ part
            faded = part[:, : len(fade)]
            mix[: faded.shape[1]] += (before - after) @ faded * fade[: faded.shape[1]]
            parts.append(mix)
            before = after
        self._weights = before
        return np.concatenate(parts)


def _shares(frame: AudioFrame) -> np.ndarray:
    """Returns the share of each channel in the mix; float32, (channels,)."""
    places = [channel.name for channel in frame.layout.channels]
    if "FC" not in places:
        return np.ones(len(places), np.float32)
    return np.array([_SHARES_BESIDE_A_CENTRE.get(place, _SHARE_OF_OTHERS) for place in places], np.float32)
