"""Laws that are known by their samples only: what has been moved, carried or truncated is no Gaussian any more."""

from typing import ClassVar, NoReturn

from torch import Tensor


class Sampled:
    """The part of `Covariance` that asks what rows see, refused; `what` says in the message what it is."""

    what: ClassVar[str]

    def gram(self, left: Tensor, right: Tensor) -> Tensor:
        """Refused with a `ValueError`."""
        self._refuse()

    def response(self, weights: Tensor, multipliers: Tensor) -> Tensor:
        """Refused with a `ValueError`."""
        self._refuse()

    def explained(self, weights: Tensor, factor: Tensor) -> Tensor:
        """Refused with a `ValueError`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError(
            f"A prediction {self.what} is known by its samples only; impose all constraints at once, stacked with `&`, "
            "on the prediction as it was."
        )
