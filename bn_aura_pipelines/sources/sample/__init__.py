"""The sample clinic: a synthetic chain drawn from a recorded seed and stored laws, with its truth in `aura_truth`.

Nothing else may read `aura_truth`; an import of real data belongs to the rest of `sources`.
"""
