from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fasteners
import psutil
import psycopg
import pytest

from bn_aura_pipelines.database.embedded import SERVER_ALLOCATION, SERVER_SETTINGS, start_server
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import PROJECT_ROOT

# Starts or joins the server, says which one it got, and stays until its input ends.
HOLDER = """
import sys
from pathlib import Path
from bn_aura_pipelines.database.connections import open_database
from bn_aura_pipelines.settings import Settings
import sqlalchemy
database = open_database(Settings(home=Path(sys.argv[1])))
with database.begin() as connection:
    started = connection.execute(sqlalchemy.text("select pg_postmaster_start_time()")).scalar_one()
print(database.url.query["host"], started.timestamp(), flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that holds the server of `home`."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=PROJECT_ROOT,
        )

    def server(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return line

    def leave(self) -> None:
        assert self.process.communicate()[1] == ""
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def running_servers(home: Path) -> list[int]:
    data = str((home / "postgres").resolve())
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "postgres" and data in (process.info["cmdline"] or []):
            found.append(process.pid)
    return found


def new_home(tmp_path: Path, name: str = "home") -> Path:
    home = tmp_path / name
    home.mkdir(parents=True)
    return home


def test_its_settings_hold_from_the_first_start_on_and_what_was_set_since_stays(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    first = Holder(home)
    with psycopg.connect(host=first.server().split()[0], user="postgres", autocommit=True) as connection:
        shown = {name: connection.execute("select current_setting(%s)", (name,)).fetchone() for name in SERVER_SETTINGS}
        connection.execute("alter system set work_mem = '8MB'")
    allocation = psutil.Process(running_servers(home)[0]).environ()
    first.leave()
    assert SERVER_ALLOCATION.items() <= allocation.items()
    assert not SERVER_ALLOCATION.keys() & os.environ.keys()
    assert shown == {name: (value,) for name, value in SERVER_SETTINGS.items()}
    second = Holder(home)
    with psycopg.connect(host=second.server().split()[0], user="postgres") as connection:
        assert connection.execute("show work_mem").fetchone() == ("8MB",)
    second.leave()


def test_several_at_once_get_one_server_which_stops_with_the_last(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    holders = [Holder(home) for _ in range(3)]
    assert len({holder.server() for holder in holders}) == 1
    first, *others = holders
    first.leave()
    assert len(running_servers(home)) == 1
    for holder in others:
        holder.leave()
    assert running_servers(home) == []


def test_it_outlives_a_killed_starter_and_leaves_no_lock_behind(tmp_path: Path) -> None:
    home = new_home(tmp_path, "a folder with spaces")
    starter = Holder(home)
    started = starter.server()
    starter.kill()
    lock = fasteners.InterProcessLock(Path(started.split()[0]).parent / "lock")
    assert lock.acquire(blocking=True, timeout=10)
    lock.release()
    follower = Holder(home)
    assert follower.server() == started
    follower.leave()
    assert running_servers(home) == [], "the killed starter was counted as a holder"


def test_it_comes_back_after_the_server_itself_was_killed_and_its_number_was_given_away(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    starter = Holder(home)
    started = starter.server()
    (pid,) = running_servers(home)
    server = psutil.Process(pid)
    processes = [server, *server.children(recursive=True)]
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=10)
    starter.kill()
    pid_file = home / "postgres" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(pid), str(os.getpid()), 1))
    follower = Holder(home)
    assert follower.server() != started
    follower.leave()


def test_a_first_start_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    starter = Holder(home)
    deadline = time.monotonic() + 20
    while not (home / "postgres" / "PG_VERSION").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    starter.kill()
    follower = Holder(home)
    assert follower.server()
    follower.leave()


def test_a_path_longer_than_a_socket_may_be_works(tmp_path: Path) -> None:
    home = new_home(tmp_path, "/".join(["a rather long name of a folder, with a comma"] * 4))
    assert len(str(home)) > 180
    holder = Holder(home)
    assert len(holder.server().split()[0]) < 90
    holder.leave()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to a user of its own")
def test_run_by_root_it_shows_nobody_what_a_private_folder_holds(tmp_path: Path) -> None:
    private = tmp_path / "private"
    home = new_home(private)
    private.chmod(0o700)
    holder = Holder(home)
    holder.server()
    holder.leave()
    assert private.stat().st_mode & 0o777 == 0o711


def test_nobody_else_reaches_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = Holder(new_home(tmp_path))
    runtime = Path(holder.server().split()[0]).parent
    holder.leave()
    assert runtime.stat().st_mode & 0o777 == 0o700
    theirs = tmp_path / f"bn_aura-{os.getuid()}"
    theirs.symlink_to(tmp_path / "home")
    monkeypatch.setattr("bn_aura_pipelines.database.embedded._short_folder", lambda: tmp_path)
    with pytest.raises(UserError, match="belongs to another user"):
        start_server(tmp_path / "home")


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    (home / "postgres").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="did not start") as caught:
        start_server(home)
    assert "\n" not in str(caught.value)
