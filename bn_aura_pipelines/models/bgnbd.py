"""BG/NBD: visits as a Poisson process that a customer may leave after any visit. Maximum likelihood, closed forms.

Source: Fader, Hardie and Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2), equations 3-10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bn_aura_pipelines.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class NotEnoughHistory(UserError):
    """Too few customers or repeat visits to fit anything."""


@dataclass(frozen=True)
class BgNbd:
    """Visits at rate lambda ~ Gamma(r, alpha); lost after a visit with probability p ~ Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, repeats: Array, last: Array, age: Array) -> Array:
        """P(alive at `age`), shape (n,). `repeats` visits followed the first, the latest at `last` since the first."""
        import numpy as np

        with np.errstate(over="ignore"):
            odds = np.exp(
                np.log(self.a)
                - np.log(self.b + np.maximum(repeats, 1) - 1)
                + (self.r + repeats) * (np.log(self.alpha + age) - np.log(self.alpha + last))
            )
        return 1 / (1 + np.where(repeats > 0, odds, 0))

    def no_visit(self, repeats: Array, last: Array, age: Array, horizon: float) -> Array:
        """P(no visit within `horizon` after `age`), shape (n,).

        While alive a customer waits as in a Poisson process (one leaves only after a visit), and given alive lambda is
        Gamma(r + repeats, alpha + age).
        """
        waits = ((self.alpha + age) / (self.alpha + age + horizon)) ** (self.r + repeats)
        return 1 - self.alive(repeats, last, age) * (1 - waits)

    def expected_visits(self, repeats: Array, last: Array, age: Array, horizon: float) -> Array:
        """E(visits within `horizon` after `age`), shape (n,); equation 10 of the paper.

        Its 2F1 overflows for frequent visitors; Euler's transformation gives the same from small parameters.
        """
        from scipy.special import hyp2f1

        # The limits at a = 1 and a + b = 1 are finite, the formula is not.
        a = self.a if abs(self.a - 1) > 1e-5 else 1 + 1e-5
        b = self.b if abs(a + self.b - 1) > 1e-5 else self.b + 2e-5
        share = horizon / (self.alpha + age + horizon)
        tail = (1 - share) ** (a - 1) * hyp2f1(a + b - 1 - self.r, a - 1, a + b + repeats - 1, share)
        return (a + b + repeats - 1) / (a - 1) * (1 - tail) * self.alive(repeats, last, age)


def log_likelihood(model: BgNbd, repeats: Array, last: Array, age: Array) -> Array:
    """Log-likelihood of each customer, shape (n,); equation 6 of the paper."""
    import numpy as np
    from scipy.special import betaln, gammaln

    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    alive = betaln(a, b + repeats) - betaln(a, b) - (r + repeats) * np.log(alpha + age)
    lost = betaln(a + 1, b + np.maximum(repeats, 1) - 1) - betaln(a, b) - (r + repeats) * np.log(alpha + last)
    mixed = np.where(repeats > 0, np.logaddexp(alive, lost), alive)
    return gammaln(r + repeats) - gammaln(r) + r * np.log(alpha) + mixed


def fit(repeats: Array, last: Array, age: Array, weights: Array | None = None, start: BgNbd | None = None) -> BgNbd:
    """The maximum-likelihood estimate. Times may have any unit; the estimate of alpha has the same.

    `weights` (n,) say how many customers each counts for; `start` is an estimate that is known to be near.

    Raises NotEnoughHistory below 10 customers or without a repeat visit.
    """
    import numpy as np
    from scipy.optimize import minimize

    if len(repeats) < 10 or not (repeats > 0).any():
        raise NotEnoughHistory("BG/NBD needs at least ten customers, one of them with a second visit.")
    unit = float(np.mean(age)) or 1.0  # the likelihood is flattest when times are near one
    last, age = last / unit, age / unit

    def loss(logs: Array) -> float:
        each = log_likelihood(BgNbd(*np.exp(logs)), repeats, last, age)
        return -float(np.average(each, weights=weights))

    options = {"maxiter": 500, "ftol": 1e-12}
    starts = [[0.5, 0.3, 0.8, 2.0], [1.0, 0.1, 0.3, 3.0]]
    if start is not None:
        starts = [np.clip([start.r, start.alpha / unit, start.a, start.b], 1e-3, 1e3)]
    best = min(
        (minimize(loss, np.log(begin), method="L-BFGS-B", bounds=[(-7, 7)] * 4, options=options) for begin in starts),
        key=lambda result: result.fun,
    )
    r, alpha, a, b = (float(value) for value in np.exp(best.x))
    return BgNbd(r, alpha * unit, a, b)
