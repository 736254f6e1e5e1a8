"""The voices of a recording in bounded memory: similar pieces become one group while the recording goes on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from rapl_speakers.networks.campplus import DIMENSIONS
from rapl_speakers.networks.checkpoint import Floats

Labels = npt.NDArray[np.int32]

MOST_GROUPS = 1024
"""With more groups than this, similar ones are joined. Comparing all of them takes 0.1 s and 20 MB."""
GROUPS_AFTER_JOINING = 512
JOINED_FROM = 0.65
"""Groups with at least this mean cosine are joined early. Pieces of one person have 0.5 to 0.8, of two people 0.25 to
0.45, so this hardly ever joins two people."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of similar pieces."""

    sums: Floats
    """float32, (groups, 192): the embeddings of each group's pieces, added."""
    counts: Floats
    """float32, (groups,): the number of pieces."""
    seconds: Floats
    """float32, (groups,): the audio of the pieces."""

    def __len__(self) -> int:
        return len(self.counts)

    def joined(self, labels: Labels) -> "Groups":
        """The groups with the same label become one; `labels` are 0, 1, 2 ... without gaps."""
        number = int(labels.max(initial=-1)) + 1
        sums = np.zeros((number, DIMENSIONS), np.float32)
        np.add.at(sums, labels, self.sums)
        counts, seconds = (np.bincount(labels, each, number).astype(np.float32) for each in (self.counts, self.seconds))
        return Groups(sums, counts, seconds)

    def selected(self, chosen: npt.NDArray[np.bool_]) -> "Groups":
        return Groups(self.sums[chosen], self.counts[chosen], self.seconds[chosen])

    def similarities(self) -> Floats:
        """The mean cosine of the pieces of each two groups, (groups, groups)."""
        means = self.sums / self.counts[:, None]
        return np.matmul(means, means.T, dtype=np.float32)

    def labels_from(self, similarity: float, most: int | None = None) -> Labels:
        """Joins groups while their mean cosine is at least `similarity`, or, with `most`, until so many are left."""
        if len(self) < 2:
            return np.zeros(len(self), np.int32)
        distances = np.maximum(1 - self.similarities(), 0)  # of the same audio twice it is rounded to less than 0
        np.fill_diagonal(distances, 0)
        tree = linkage(squareform(distances, checks=False), "average")
        if most is None:
            return fcluster(tree, 1 - similarity, "distance").astype(np.int32) - 1
        return fcluster(tree, most, "maxclust").astype(np.int32) - 1


class Voices:
    """Collects the embeddings of a recording's pieces. Its memory grows by 4 bytes for each piece."""

    def __init__(self) -> None:
        self._groups = Groups(np.empty((0, DIMENSIONS), np.float32), np.empty(0, np.float32), np.empty(0, np.float32))
        self._group_of = np.empty(0, np.int32)

    @property
    def groups(self) -> Groups:
        return self._groups

    @property
    def group_of(self) -> Labels:
        """The group of each piece, in the order in which the pieces were added."""
        return self._group_of

    def add(self, embeddings: Floats, seconds: Floats) -> None:
        """Adds pieces, each as a group of its own.

        Args:
            embeddings: float32, (pieces, 192), of length 1.
            seconds: float32, (pieces,): the audio of each piece.
        """
        numbers = np.arange(len(self._groups), len(self._groups) + len(embeddings), dtype=np.int32)
        self._group_of = np.append(self._group_of, numbers)
        self._groups = Groups(
            np.vstack([self._groups.sums, embeddings]),
            np.append(self._groups.counts, np.ones(len(embeddings), np.float32)),
            np.append(self._groups.seconds, seconds),
        )
        if len(self._groups) > MOST_GROUPS:
            self._join()

    def _join(self) -> None:
        labels = self._groups.labels_from(JOINED_FROM)
        if labels.max() >= GROUPS_AFTER_JOINING:
            labels = self._groups.labels_from(JOINED_FROM, GROUPS_AFTER_JOINING)
        self._groups = self._groups.joined(labels)
        self._group_of = labels[self._group_of]
