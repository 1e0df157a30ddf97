"""Gamma-Gamma: what a visit costs, as a Gamma around a level of the customer's own. Maximum likelihood, closed forms.

Source: Fader, Hardie and Lee (2005), RFM and CLV: Using Iso-Value Curves, Journal of Marketing Research 42(4), and the
note of Fader and Hardie (2013), The Gamma-Gamma Model of Monetary Value, equations 1 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bn_aura_pipelines.models.bgnbd import NotEnoughHistory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class GammaGamma:
    """An amount is Gamma(p, rate nu), nu ~ Gamma(q, rate gamma), a level for each customer."""

    p: float
    q: float
    gamma: float

    def expected_amount(self, visits: Array, mean: Array) -> Array:
        """E(amount of a visit), shape (n,), of customers whose `visits` paid visits cost `mean` on average."""
        return self.p * (self.gamma + mean * visits) / (self.p * visits + self.q - 1)


def log_likelihood(model: GammaGamma, visits: Array, mean: Array) -> Array:
    """Log-likelihood of each customer's mean amount, shape (n,); `visits` at least 1, `mean` above 0."""
    import numpy as np
    from scipy.special import gammaln

    p, q, gamma = model.p, model.q, model.gamma
    return (
        gammaln(p * visits + q)
        - gammaln(p * visits)
        - gammaln(q)
        + q * np.log(gamma)
        + (p * visits - 1) * np.log(mean)
        + p * visits * np.log(visits)
        - (p * visits + q) * np.log(gamma + mean * visits)
    )


def fit(visits: Array, mean: Array, weights: Array | None = None) -> GammaGamma:
    """The maximum-likelihood estimate; amounts may have any unit, the estimate of gamma has the same.

    Raises NotEnoughHistory below ten customers. q stays above 1: the expectation does not exist below.
    """
    import numpy as np
    from scipy.optimize import minimize

    if len(visits) < 10:
        raise NotEnoughHistory("Gamma-Gamma needs at least ten customers who paid.")
    unit = float(np.average(mean, weights=weights))
    mean = mean / unit

    def loss(logs: Array) -> float:
        model = GammaGamma(float(np.exp(logs[0])), 1 + float(np.exp(logs[1])), float(np.exp(logs[2])))
        return -float(np.average(log_likelihood(model, visits, mean), weights=weights))

    best = minimize(loss, np.log([2.0, 1.0, 1.0]), method="L-BFGS-B", bounds=[(-5, 9), (-4, 6), (-7, 7)])
    return GammaGamma(float(np.exp(best.x[0])), 1 + float(np.exp(best.x[1])), float(np.exp(best.x[2])) * unit)
