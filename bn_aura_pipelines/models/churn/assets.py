"""The churn model and its scores as assets."""

import dagster as dg

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.models.churn import cards
from bn_aura_pipelines.models.churn.scoring import score
from bn_aura_pipelines.models.churn.training import MODEL, train
from bn_aura_pipelines.models.churn.watching import Watch, watch
from bn_aura_pipelines.models.feedback import read_feedback

OWNED = {
    "aura_models.registry": "churn_model",
    "aura_models.candidate_metrics": "churn_model",
    "aura_models.churn_scores": "churn_scores",
}


@dg.asset(
    deps=["customer_snapshots", "snapshot_moments"],
    group_name="models",
    description="Churn candidates trained on earlier snapshots, judged on the latest complete one, promoted if better.",
    kinds={"postgres", "xgboost", "scikitlearn"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_models.registry"},
)
def churn_model(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = train(connection)
        context.log.info(result.decision)
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_models.registry"),
                "version": result.version,
                "kind": result.kind,
                "promoted": result.promoted,
                "decision": result.decision,
                "new": result.new,
                "training_rows": result.n_train,
                "feedback": str(read_feedback(connection, MODEL)),
                "candidates": dg.MetadataValue.md(cards.candidates_table(result.judgements)),
                "model_card": dg.MetadataValue.md(cards.model_card(connection)),
            }
        )


@dg.asset(
    deps=[churn_model, "customer_snapshots"],
    group_name="models",
    description="Probability, score, level and reasons of every customer with a completed visit, by the champion.",
    check_specs=[
        dg.AssetCheckSpec(
            "churn_still_holds",
            asset="churn_scores",
            description="Scores look like those that were judged, and past ones came true as often as they said.",
        )
    ],
    kinds={"postgres", "table"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_models.churn_scores"},
)
def churn_scores(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = score(connection)
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_models.churn_scores"),
                "high": result.high,
                "medium": result.medium,
                "rows_written": result.written,
                "model_version": result.model_version,
                "kind": result.kind,
            },
            check_results=[_still_holds(watch(connection))],
        )


def _still_holds(found: Watch) -> dg.AssetCheckResult:
    """A warning: the next training decides whether another model takes over."""
    lines = ["| what | stability index | by chance |", "|---|---|---|"]
    lines += [f"| {one.name} | {one.psi:.3f} | {one.by_chance:.3f} |" for one in found.drifts]
    error = found.calibration_error
    return dg.AssetCheckResult(
        check_name="churn_still_holds",
        passed=not found.retrain,
        severity=dg.AssetCheckSeverity.WARN,
        description="" if not found.retrain else "Train again: `bn-aura run --select churn_model+`.",
        metadata={
            "customers_before": found.before,
            "customers_now": found.now,
            "drifted": ", ".join(found.drifted) or "nothing",
            "calibration_error": "no outcome is known yet" if error is None else error,
            "drift": dg.MetadataValue.md("\n".join(lines)),
        },
    )


assets = [churn_model, churn_scores]
