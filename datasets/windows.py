"""Windows over (sample, t): every run of so many consecutive times of every sample, numbered in one row."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Windows:
    """`length` consecutive times out of `times`, a new window every `stride` times, for each of `samples` samples.

    Windows of a sample follow each other; what is left at the end of a sample belongs to no window.

    >>> windows = Windows(samples=2, times=6, length=3, stride=2)
    >>> len(windows), windows[1], windows[2]
    (4, (0, slice(2, 5, None)), (1, slice(0, 3, None)))
    """

    samples: int
    times: int
    length: int
    stride: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.length <= self.times:
            raise ValueError(
                f"A window of {self.length} times does not fit the {self.times} times stored; give 1 to {self.times}."
            )
        if self.stride < 1:
            raise ValueError(f"stride={self.stride}; give at least 1.")

    @property
    def of_a_sample(self) -> int:
        """Number of windows of one sample."""
        return (self.times - self.length) // self.stride + 1

    def __len__(self) -> int:
        return self.samples * self.of_a_sample

    def __getitem__(self, number: int) -> tuple[int, slice]:
        """(position of the sample, its times) of a window; raises `IndexError` beyond the last."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"window {number} of {len(self)}")
        sample, place = divmod(number % len(self), self.of_a_sample)
        start = place * self.stride
        return sample, slice(start, start + self.length)
