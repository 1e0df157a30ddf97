"""Every environment variable, typed and documented once. Nothing else reads the environment."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from bn_aura_pipelines.errors import UserError

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Read from the environment, then from `.env` in the working folder."""

    model_config = SettingsConfigDict(env_prefix="BN_AURA_", env_file=".env", extra="ignore", populate_by_name=True)

    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL 15 or newer with pgvector 0.8 or newer, as postgresql://user:password@host/db. "
        "Empty: the embedded server under BN_AURA_HOME.",
    )
    home: Path = Field(
        default=Path(".bn_aura"),
        description="Where the embedded server and Dagster keep their files.",
    )
    write_application_columns: bool = Field(
        default=True,
        description="Whether embeddings and lead scores are also written to the application's own columns.",
    )
    embedding_model: str = Field(
        default="offline-ngrams-1",
        description="The model that embeds: offline-ngrams-1 (no network, lexical), gemini-embedding-001 or "
        "gemini-embedding-2.",
    )
    google_gemini_api_key: SecretStr | None = Field(
        default=None,
        validation_alias="GOOGLE_GEMINI_API_KEY",
        description="Key of the Gemini API; needed by the Gemini models only.",
    )
    gemini_base_url: str | None = Field(
        default=None,
        description="Where the Gemini API answers, when it is not Google's own address.",
    )
    gemini_concurrency: int = Field(default=8, ge=1, description="Requests to Gemini under way at once.")
    gemini_requests_per_minute: float = Field(default=3000, gt=0, description="Requests a minute that the key allows.")
    gemini_items_per_minute: float = Field(default=3000, gt=0, description="Texts a minute that the key allows.")
    gemini_tokens_per_minute: float = Field(default=1_000_000, gt=0, description="Tokens a minute that the key allows.")
    api_pool_size: int = Field(
        default=4, ge=1, description="Connections of the read API: about two more than its database has cores."
    )
    api_requests_per_second: float = Field(
        default=50, gt=0, description="Requests a second of one key or token before it is asked to wait; bursts twice."
    )
    api_stale_hours: int = Field(
        default=26, ge=1, description="A table that was built longer ago is called stale in every answer."
    )
    api_cors_origins: list[str] = Field(
        default=[], description='Origins whose pages may call the read API, as ["https://app.example"]; none otherwise.'
    )
    jwt_issuer: str | None = Field(
        default=None,
        description="Who issues the tokens that the read API takes, such as https://PROJECT.supabase.co/auth/v1.",
    )
    jwt_audience: str = Field(default="authenticated", description="The audience that those tokens must name.")
    jwt_jwks_url: str | None = Field(
        default=None, description="Where their public keys are; ES256 and RS256 are then the only algorithms."
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="Or the secret they are signed with; HS256 is then the only algorithm."
    )
    voice_mode: Literal["local", "hybrid", "gemini"] = Field(
        default="local",
        description="Who analyses conversations: local (no network), gemini, or hybrid: Gemini where the local model "
        "is unsure.",
    )
    voice_model: str = Field(default="gemini-2.5-flash", description="The Gemini model that analyses conversations.")
    voice_unsure_below: float = Field(
        default=0.6, ge=0, le=1, description="In hybrid mode: below this confidence a conversation goes to Gemini."
    )
    voice_requests_per_run: int | None = Field(
        default=1000, ge=0, description="Most requests about conversations that one run may send; empty: no bound."
    )
    voice_tokens_per_run: int | None = Field(
        default=None, ge=0, description="Most tokens that one run may use on conversations; empty: no bound."
    )
    embedding_requests_per_run: int | None = Field(
        default=None,
        description="Most requests that one sync of an entity may send to the provider; empty: no bound.",
    )

    send: Literal["dry", "live", "off"] = Field(
        default="dry",
        description="What delivery may do: dry (letters are rendered and kept, none leaves), live, or off (everything "
        "waits).",
    )
    resend_api_key: SecretStr | None = Field(
        default=None, validation_alias="RESEND_API_KEY", description="Key of Resend; needed to send live only."
    )
    resend_base_url: str | None = Field(
        default=None, description="Where Resend answers, when it is not its own address."
    )
    resend_webhook_secret: SecretStr | None = Field(
        default=None, description="Signing secret of Resend's webhooks; without it they are refused."
    )
    resend_requests_per_second: float = Field(
        default=2, gt=0, description="Requests a second that all workers together send to Resend."
    )
    email_from: str | None = Field(
        default=None,
        description="The address that e-mails come from, such as hello@clinic.example; the name is the clinic's.",
    )
    public_url: str | None = Field(
        default=None, description="Where the read API is reached from outside: links to unsubscribe lead there."
    )
    unsubscribe_secret: SecretStr | None = Field(
        default=None, description="Signs the links to unsubscribe; any long random text, and for ever the same."
    )

    alert_email: str | None = Field(
        default=None,
        description="Who is told by e-mail of runs that failed; needs RESEND_API_KEY and BN_AURA_EMAIL_FROM.",
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None, description="A Slack-compatible webhook that is told of runs that failed."
    )
    ui_url: str = Field(
        default="http://127.0.0.1:3000", description="Where people reach the Dagster UI: links in alerts lead there."
    )
    keep_runs_days: int = Field(
        default=30, ge=1, description="Days that Dagster's runs are kept, with their events, check results and ticks."
    )
    keep_quarantine_days: int = Field(default=90, ge=1, description="Days that rows which could not load are kept.")
    keep_letters_days: int = Field(
        default=90, ge=2, description="Days that the text of a letter is kept after it was sent or given up."
    )
    keep_messages_days: int = Field(
        default=730, ge=90, description="Days that it is kept which message went to whom, and what became of it."
    )
    keep_notifications_days: int = Field(default=365, ge=1, description="Days that notifications are kept.")
    keep_api_reads_days: int = Field(default=365, ge=1, description="Days that it is kept who read whom in the API.")
    keep_alerts_days: int = Field(default=90, ge=1, description="Days that failures are kept after they last came.")
    keep_figures_days: int = Field(
        default=730, ge=31, description="Days that daily figures about the pipelines themselves are kept."
    )

    @property
    def home_path(self) -> Path:
        """`home` as an absolute path, created if it is missing."""
        path = self.home.expanduser().resolve()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"BN_AURA_HOME={path} cannot be created ({error.strerror}): name a folder you may write to."
            ) from error
        return path


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
