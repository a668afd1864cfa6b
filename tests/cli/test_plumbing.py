"""The application itself: help at once, one line for every failure, exit codes."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys

import pytest
import typer

import seqplrp
from seqplrp.cli import app as application
from seqplrp.cli.errors import from_os_error
from seqplrp.errors import SeqplrpError

PROGRAM = [sys.executable, "-c", "import sys; from seqplrp.cli import main; sys.exit(main())"]


@pytest.fixture
def command(monkeypatch):
    """Make the application one with a single command ``try``, which does what the test says."""

    def set_up(action):
        app = typer.Typer()

        @app.callback()
        def root() -> None:
            pass

        @app.command("try")
        def attempt(count: int = typer.Option(1, min=1)) -> None:
            action()

        monkeypatch.setattr(application, "build_app", lambda: app)

    return set_up


def raising(error):
    def action():
        raise error

    return action


def test_help_names_every_command_and_imports_nothing_heavy():
    heavy = ["torch", "numpy", "pandas", "matplotlib", "sklearn", "h5py", "pyBigWig", "Bio", "logomaker"]
    code = (
        "import sys; from seqplrp.cli import main; main(['--help']); "
        f"print('HEAVY', [m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("HEAVY []\n")
    for name in application.COMMANDS:
        assert f" {name} " in done.stdout


def test_help_answers_in_half_a_second():
    """Measured in processor time, the best of three: other processes share this machine."""

    def seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    times = []
    for _ in range(3):
        began = seconds()
        subprocess.run([*PROGRAM, "--help"], capture_output=True, check=True)
        times.append(seconds() - began)
    assert min(times) < 0.5


def test_every_command_has_help(run):
    for name in application.COMMANDS:
        done = run(name, "--help")
        assert done.code == 0
        assert name in done.out


def test_version_and_bare_call_end_well(run):
    assert run("--version").out == f"seqplrp {seqplrp.__version__}\n"
    assert "Usage" in run().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["explian"], "error: seqplrp: no such command 'explian'"),
        (["--nothing"], "error: seqplrp: no such option: --nothing"),
        (["explain", "--mdoel", "x"], "error: seqplrp explain: no such option: --mdoel"),
        (["explain"], "error: seqplrp explain: --model is missing"),
        (["explain", "--model"], "error: seqplrp explain: option '--model' requires an argument"),
        (["explain", "--seed", "x"], "error: --seed: "),
        (["explain", "surplus", "--model", "m", "--fasta", "f", "--out", "o"], "error: seqplrp explain: "),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(run, arguments, line):
    done = run(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith(line)
    assert done.err.count("\n") == 1
    assert "; " in done.err


def test_an_error_the_user_can_mend_is_one_line(run, command):
    command(raising(SeqplrpError("x.fa, line 3", "letter 'J' is not DNA", "mend it")))
    done = run("try")
    assert (done.code, done.err) == (2, "error: x.fa, line 3: letter 'J' is not DNA; mend it\n")


def test_hostile_text_in_an_error_stays_on_its_line(run, command):
    command(raising(SeqplrpError("a\nb", "\x1b[31mred", "mend\rit")))
    done = run("try")
    assert done.err.count("\n") == 1
    assert "\x1b" not in done.err
    assert "\r" not in done.err


def test_a_fault_of_the_program_is_not_dressed_up_as_the_users(run, command):
    command(raising(KeyError("bug")))
    with pytest.raises(KeyError):
        run("try")


def test_ctrl_c_is_one_line_and_exit_code_130(run, command):
    command(raising(KeyboardInterrupt()))
    done = run("try")
    assert done.code == 130
    assert done.err.startswith("interrupted")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.EACCES, "permission denied"), (errno.ENOSPC, "no space left"), (errno.ENOENT, "no such file")],
)
def test_a_failure_of_the_system_on_a_users_path_names_the_path(run, command, code, reason):
    command(raising(OSError(code, os.strerror(code), "/data/x.bw")))
    done = run("try")
    assert done.code == 2
    assert done.err.startswith(f"error: /data/x.bw: {reason}")
    assert done.err.count("\n") == 1


def test_a_full_disk_that_hdf5_reports_in_its_own_words_is_understood():
    text = "Can't write data (file write failed: time = now, errno = 28, error message = 'No space left on device')"
    assert "no space left" in str(from_os_error(OSError(text), place="out"))


def test_a_system_error_that_no_user_caused_is_shown_as_it_is(run, command):
    command(raising(OSError("unknown")))
    with pytest.raises(OSError, match="unknown"):
        run("try")


def test_a_reader_that_goes_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*PROGRAM, "--version"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


def test_ctrl_c_in_a_real_process_leaves_no_traceback_and_no_output(tmp_path):
    script = f"""
import sys, time
from pathlib import Path
import typer
from seqplrp.cli import app as application, main
from seqplrp.cli.output import output_directory
app = typer.Typer()
@app.callback()
def root(): pass
@app.command("wait")
def wait():
    with output_directory(Path({str(tmp_path / "out")!r}), command="wait") as stage:
        (stage / "half").write_text("half")
        print("ready", flush=True)
        time.sleep(60)
application.build_app = lambda: app
sys.exit(main(["wait"]))
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=-1, stderr=-1, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
