"""`bn-aura bench recommend`: every way to order treatments on a real export, beside the targets; on request the sample
clinic, whose laws tell the best possible rebooking and what each action really gains, and the speed."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.recommendations.histories import read_histories
from bn_aura_pipelines.models.recommendations.model import LEARNT
from bn_aura_pipelines.models.recommendations.novelties import Novelties
from bn_aura_pipelines.models.recommendations.ranking import Ranked
from bn_aura_pipelines.models.recommendations.repeats import Repeats
from bn_aura_pipelines.models.recommendations.scoring import recommend
from bn_aura_pipelines.models.recommendations.training import HORIZON, WINDOWS, judge, judged_places, train
from bn_aura_pipelines.sources.importing import import_folder
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.benchmarks.recommend_actions import on_actions
from bn_aura_pipelines_tests.benchmarks.recommend_ceiling import ceiling_hits
from bn_aura_pipelines_tests.benchmarks.recommend_report import interval, verdict
from bn_aura_pipelines_tests.benchmarks.scratch import build_features, scratch_database

CUT = datetime.fromisoformat("2011-09-01T00:00:00+07:00")
SAMPLE_AS_OF = datetime.fromisoformat("2025-07-01T14:30:00+07:00")
LEAST_LIFT = 2.5
MOST_BELOW_CEILING = 0.03
MOST_SECONDS, MOST_MEGABYTES = 60.0, 4096.0

Report = Callable[[str], None]


def main(data: Path, sample: int, many: int, report: Report = lambda line: None) -> bool:
    """Whether every target is reached; `sample` customers of the sample clinic and `many` for the speed, 0 for none."""
    good = on_export(data, report)
    if sample:
        good &= on_sample(sample, report)
    if many:
        good &= at_scale(many, report)
    return good


def on_export(data: Path, report: Report) -> bool:
    """Both problems on the 90 days after the cut, learnt on what ended before it."""
    now = CUT + HORIZON
    with scratch_database() as database:
        import_folder(database, data, lambda line: None)
        build_features(database, now)
        ranked = judge_both(database, now, report)
        with database.begin(now) as connection:
            champion = {one.model: one.kind for one in train(connection)}
    rebook, new = ranked["rebook"], ranked["cross_sell"]
    chosen, simple = new[champion["cross_sell"]].recall.mean(), new["popularity"].recall.mean()
    good = verdict(report, chosen / simple >= LEAST_LIFT, f"cross-sell recall@10 {chosen / simple:.2f} x popularity")
    better = max(new["ease"].recall.mean(), new["ease_recent"].recall.mean())
    good &= verdict(report, chosen >= better, f"cross-sell recall@10 {chosen:.4f}, EASE {better:.4f}")
    ours, theirs = rebook[champion["rebook"]].recall.mean(), rebook["frequency"].recall.mean()
    return good & verdict(report, ours >= theirs, f"repeat recall@10 {ours:.4f}, personal frequency {theirs:.4f}")


def judge_both(database: Database, now: datetime, report: Report) -> dict[str, dict[str, Ranked]]:
    """Every candidate of both problems on the last 90 days, reported as tables."""
    found = {}
    with database.begin(now) as connection:
        judged = read_histories(connection, now - HORIZON, now)
        cuts = [now - (back + 1) * HORIZON for back in range(WINDOWS, 0, -1)]
        earlier = [read_histories(connection, cut, cut + HORIZON) for cut in cuts]
        for problem in (Repeats, Novelties):
            _, ranked = judge(problem, judged, earlier)
            report(f"{problem.kind}: {len(ranked[0].recall):,} customers from {judged.cut:%Y-%m-%d}, 90 days")
            report("| candidate | recall@10 | nDCG@10 | hit@1 | coverage | novelty |\n|---|---|---|---|---|---|")
            for one in sorted(ranked, key=lambda one: -one.figures.ndcg_at_10):
                f = one.figures
                report(
                    f"| {f.candidate} | {f.recall_at_10:.4f} | {f.ndcg_at_10:.4f} | {f.hit_at_1:.4f} "
                    f"| {f.coverage:.0%} | {f.novelty:.2f} |"
                )
            found[problem.kind] = {one.candidate: one for one in ranked}
    return found


def on_sample(customers: int, report: Report) -> bool:
    """Rebooking beside repeating the last one and the ceiling of the laws; actions beside each fixed policy."""
    with scratch_database() as database:
        generate(database, customers, SAMPLE_AS_OF)
        build_features(database, SAMPLE_AS_OF)
        ranked = judge_both(database, SAMPLE_AS_OF, report)["rebook"]
        with database.begin(SAMPLE_AS_OF) as connection:
            judged = read_histories(connection, SAMPLE_AS_OF - HORIZON, SAMPLE_AS_OF)
            setting = Repeats(judged)
            places = judged_places(setting)
            best = ceiling_hits(connection, setting, places)
        ours = ranked[LEARNT].hit if LEARNT in ranked else ranked["frequency"].hit
        last = ranked["last"].hit
        low, high = interval(ours - last)
        good = verdict(report, low > 0, f"hit@1 {ours.mean():.4f}, last {last.mean():.4f} ({low:+.4f} to {high:+.4f})")
        below = best.mean() - ours.mean()
        low, high = interval(best - ours)
        good &= verdict(
            report,
            below <= MOST_BELOW_CEILING,
            f"hit@1 {ours.mean():.4f}, ceiling {best.mean():.4f}: {below:+.4f} below ({low:+.4f} to {high:+.4f})",
        )
        return good & on_actions(database, SAMPLE_AS_OF, report)


def at_scale(customers: int, report: Report, treatments: int = 300) -> bool:
    """Reading, similar customers aside, and recommending to many customers with a catalogue of many treatments."""
    with scratch_database() as database:
        generate(database, customers, SAMPLE_AS_OF)
        widen(database, treatments)
        build_features_of_staging(database)
        with database.begin(SAMPLE_AS_OF) as connection:
            begun = time.perf_counter()
            train(connection)
            report(f"training and judging: {time.perf_counter() - begun:.1f} s")
        with database.begin(SAMPLE_AS_OF) as connection:
            begun = time.perf_counter()
            result = recommend(connection)
            seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    good = verdict(
        report, seconds <= MOST_SECONDS, f"{result.rows:,} recommendations for {customers:,} customers: {seconds:.1f} s"
    )
    return good & verdict(report, peak <= MOST_MEGABYTES, f"peak memory {peak:,.0f} MB")


def widen(database: Database, treatments: int) -> None:
    """Split each of the sample's treatments into variants, so that there are so many; a customer keeps to one."""
    with database.begin() as connection:
        connection.exec_driver_sql(
            """
            create temporary table variants on commit drop as
            select t.id as old_id, v as number,
                case when v = 0 then t.id else md5(t.id::text || v)::uuid end as id, t.names, t.category, t.price_min,
                t.price_max, t.created_at
            from (select *, row_number() over (order by id) - 1 as place, count(*) over () as total
                from public.treatments) as t
            cross join lateral generate_series(0, (%(n)s - 1 - t.place) / t.total) as v;
            """.replace("%(n)s", str(int(treatments)))
        )
        connection.exec_driver_sql(
            "insert into public.treatments (id, names, category, price_min, price_max, is_active, created_at)"
            " select id, names, category, price_min, price_max, true, created_at from variants where number > 0"
        )
        connection.exec_driver_sql(
            """
            update public.appointments as a set treatment_ids = w.ids
            from (
                select a.id, jsonb_agg(coalesce(v.id::text, e.value) order by e.place) as ids
                from public.appointments as a
                cross join lateral jsonb_array_elements_text(a.treatment_ids) with ordinality as e (value, place)
                left join (select old_id, count(*) as total from variants group by old_id) as n
                    on e.value = n.old_id::text
                left join variants as v on v.old_id = n.old_id
                    and v.number = abs(hashtext(a.customer_id::text || e.value || e.place)) % n.total
                group by a.id
            ) as w
            where w.id = a.id
            """.replace("%", "%%")
        )


def build_features_of_staging(database: Database) -> None:
    """The staging views alone."""
    from bn_aura_pipelines.sources.relations import build_source_relations

    with database.begin(SAMPLE_AS_OF) as connection:
        build_source_relations(connection)
        build(connection, [view for view in load_views() if view.schema == "aura_staging"])
