"""`bn-aura rules …` and `bn-aura deliver`: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bn_aura_pipelines.database.opening import open_migrated
from bn_aura_pipelines.settings import get_settings


@click.group()
def rules() -> None:
    """Trigger rules: what is worth telling whom, what each would do, and how its messages look."""


@rules.command("list")
def list_() -> None:
    """List the rules, those of highest priority first."""
    from bn_aura_pipelines.triggers.rules import read_rules

    with open_migrated().begin() as connection:
        for rule in read_rules(connection):
            mode = "off" if not rule.is_active else "dry run" if rule.dry_run else "on"
            condition = f"{rule.metric} {rule.operator} {rule.threshold:g}"
            whom = f"{rule.action} to {rule.audience}"
            click.echo(f"{rule.rule:<24} {rule.clinic_code or 'all clinics':<12} {mode:<8} {condition:<26} {whom}")


@rules.command()
@click.argument("rule")
def show(rule: str) -> None:
    """Show every setting of a RULE, in each of its versions."""
    from bn_aura_pipelines.triggers.rules import read_rules

    with open_migrated().begin() as connection:
        for version in read_rules(connection, rule):
            for name, value in vars(version).items():
                click.echo(f"{name:<16} {'all clinics' if name == 'clinic_code' and value is None else value}")
            click.echo()


@rules.command()
@click.argument("rule")
def test(rule: str) -> None:
    """Say who would get what by a RULE if it decided now, and why the others would not. Nothing is kept."""
    from bn_aura_pipelines.triggers.rehearsing import rehearse

    with open_migrated().begin() as connection:
        found = rehearse(connection, rule)
    click.echo(f"{found.subjects:,} subjects have a value")
    for reason, count in found.not_due:
        click.echo(f"  {count:>8,}  nothing: {reason}")
    for status, reason, count in found.decisions:
        click.echo(f"  {count:>8,}  {status}{f': {reason}' if reason else ''}")
    for subject_type, subject_id, value, recipients in found.examples:
        click.echo(f"  would tell {', '.join(recipients)} about {subject_type} {subject_id} ({value:g})")


@rules.command()
@click.argument("rule")
@click.option("--off", is_flag=True, help="Switch it off instead.")
@click.option("--clinic", help="Code of a clinic: there only.")
def enable(rule: str, off: bool, clinic: str | None) -> None:
    """Switch a RULE on, or off. While it is off its episodes rest; on again it tells nobody twice."""
    from bn_aura_pipelines.triggers.rules import switch

    with open_migrated().begin() as connection:
        switch(connection, rule, not off, clinic)
    click.echo(f"{rule} is {'off' if off else 'on'} in {clinic or 'all clinics without a version of their own'}")


@rules.command()
@click.argument("rule")
@click.option("--language", type=click.Choice(("th", "en")), default="th", show_default=True, help="Which language.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write the HTML of a letter to this file.")
def preview(rule: str, language: str, html_file: Path | None) -> None:
    """Render the template of a RULE with example values."""
    from bn_aura_pipelines.triggers.rendering import read_template, render_letter, render_notice
    from bn_aura_pipelines.triggers.rules import read_rules

    with open_migrated().begin() as connection:
        found = read_rules(connection, rule)[0]
        source = read_template(connection, found.template, language)
    if found.action != "send_email":
        notice = render_notice(source, found.threshold)
        click.echo(f"{notice.title}\n\n{notice.message}")
        return
    name, clinic = ("สมหญิง", "ออร่าคลินิก") if language == "th" else ("Somying", "Aura Clinic")
    link = "https://example.com/unsubscribe/token" if found.purpose == "marketing" else None
    letter = render_letter(source, language, name, clinic, link)
    click.echo(f"Subject: {letter.subject}\n\n{letter.text}")
    if html_file:
        html_file.write_text(letter.html, "utf-8")
        click.echo(f"HTML written to {html_file}")


@rules.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def save(file: Path) -> None:
    """Save the rule of a TOML FILE, new or changed, with its templates. What makes no sense is refused with the reason.

    Keys are the columns of aura_ops.trigger_rules, with cooldown_days and expires_after_days in days, clinic for a
    clinic's code, and a table [templates] with Jinja sources th and en.
    """
    from bn_aura_pipelines.triggers.rules import save as save_rule

    with open_migrated().begin() as connection:
        rule = save_rule(connection, file)
    click.echo(f"{rule.rule} is saved and {'on' if rule.is_active else 'off'}")


@rules.command()
@click.argument("reason")
def stop(reason: str) -> None:
    """The kill switch: nothing is delivered any more, by no worker, for this REASON, until `rules resume`."""
    _set_stopped(reason)
    click.echo(f"delivery is stopped: {reason}")


@rules.command()
def resume() -> None:
    """Deliver again after `rules stop`."""
    _set_stopped(None)
    click.echo("delivery goes on")


def _set_stopped(reason: str | None) -> None:
    import sqlalchemy

    with open_migrated().begin() as connection:
        values: dict[str, Any] = {"reason": reason}
        connection.execute(sqlalchemy.text("update aura_ops.delivery_state set stopped_because = :reason"), values)


@click.command()
def deliver() -> None:
    """Deliver what the rules decided: notifications and tasks at once, e-mails as BN_AURA_SEND says."""
    from bn_aura_pipelines.triggers.delivery import deliver as deliver_now

    settings = get_settings()
    report = deliver_now(open_migrated(settings), settings)
    for outcome, count in sorted(report.outcomes.items()):
        if count:
            click.echo(f"  {count:>8,}  {outcome}")
    ended = f"; ended because {report.ended_because}" if report.ended_because else ""
    click.echo(f"{report.requests:,} requests to the provider, BN_AURA_SEND={settings.send}{ended}")
