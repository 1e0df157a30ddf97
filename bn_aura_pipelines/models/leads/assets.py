"""The lead model and its scores as assets."""

import dagster as dg

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.models.churn.cards import candidates_table
from bn_aura_pipelines.models.feedback import read_feedback
from bn_aura_pipelines.models.leads.cards import coverage_plot
from bn_aura_pipelines.models.leads.forecast import forecast
from bn_aura_pipelines.models.leads.history import record
from bn_aura_pipelines.models.leads.scoring import score, write_back
from bn_aura_pipelines.models.leads.training import MODEL, train

OWNED = {
    "aura_models.lead_scores": "lead_scores",
    "aura_models.lead_forecasts": "lead_forecasts",
    "aura_models.lead_forecast_backtests": "lead_forecasts",
    "aura_ops.lead_stage_history": "lead_stage_history",
}


@dg.asset(
    deps=["lead_facts"],
    group_name="models",
    description="Lead candidates trained on decided leads, judged on the latest fifth of them, promoted if better.",
    kinds={"postgres", "xgboost", "scikitlearn"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_models.registry"},
)
def lead_model(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = train(connection)
        context.log.info(result.decision)
        context.log.info(result.guard)
        return dg.MaterializeResult(
            metadata={
                "version": result.version,
                "kind": result.kind,
                "promoted": result.promoted,
                "decision": result.decision,
                "leakage_guard": dg.MetadataValue.md(result.guard.replace("\n", "\n\n")),
                "new": result.new,
                "training_rows": result.n_train,
                "feedback": str(read_feedback(connection, MODEL)),
                "candidates": dg.MetadataValue.md(candidates_table(result.judgements)),
            }
        )


@dg.asset(
    deps=[lead_model, "lead_facts", "stg_leads"],
    group_name="models",
    description="Probability, score, category and reasons of every lead of a clinic; open ones in sales_leads too.",
    kinds={"postgres", "table"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_models.lead_scores"},
)
def lead_scores(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = score(connection)
        written_back = write_back(connection) if aura.settings.write_application_columns else {}
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_models.lead_scores"),
                "hot": result.hot,
                "warm": result.warm,
                "leads_without_clinic": result.without_clinic,
                "rows_written": result.written,
                "application_rows_written": written_back.get("rows", 0),
                "model_version": result.model_version,
                "kind": result.kind,
                "level_shift_log_odds": result.shift,
            }
        )


@dg.asset(
    deps=["stg_leads"],
    group_name="staging",
    description="The stages of each lead over time, recorded run by run: the application keeps only the present one.",
    kinds={"postgres", "table"},
    owners=["team:sales"],
    metadata={"dagster/table_name": "aura_ops.lead_stage_history"},
)
def lead_stage_history(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = record(connection)
        if result.skipped:
            context.log.warning("Nothing was recorded: a later moment was before, and history is not rewritten.")
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_ops.lead_stage_history"),
                "first_seen": result.first_seen,
                "changes": result.changes,
                "skipped": result.skipped,
            }
        )


@dg.asset(
    deps=[lead_scores, "lead_facts", "stg_leads", "stg_lead_stages"],
    group_name="models",
    description="Wins and THB that open leads will bring within 30, 60 and 90 days, back-tested on twelve past months.",
    kinds={"postgres", "table", "forecast"},
    owners=["team:sales"],
    metadata={"dagster/table_name": "aura_models.lead_forecasts"},
)
def lead_forecasts(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = forecast(connection)
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_models.lead_forecasts"),
                "open_leads": result.open_leads,
                "rows_written": result.written,
                "backtested_months": result.months,
                "wins_coverage": result.wins_coverage if result.wins_coverage is not None else "no back-test",
                "thb_coverage": result.thb_coverage if result.thb_coverage is not None else "no back-test",
                "backtest": dg.MetadataValue.md(coverage_plot(connection)),
            }
        )


assets = [lead_model, lead_scores, lead_stage_history, lead_forecasts]
