"""Every environment variable, typed and documented once. Nothing else reads the environment."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

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
        description="Whether embeddings are also written to the application's three vector(768) columns.",
    )
    log_level: str = Field(default="INFO", description="Level of the command's own log lines.")

    @property
    def home_path(self) -> Path:
        """`home` as an absolute path, created if it is missing."""
        path = self.home.expanduser().resolve()
        path.mkdir(parents=True, exist_ok=True)
        return path


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
