"""The workflow run for real with its results in a bucket, of an S3 server on loopback that checks keys."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from pcft.config.figure_registry import OF_EXPERIMENT as FIGURES
from pcft.runtime import journal
from tests.reliability.test_workflows import children, made, running, wait_for, words
from tests.support.workspace import ROOT, Workspace

BUCKET, PREFIX = "my-bucket", "pcft/results/"
PAGE = (ROOT / "docs/storage.md").read_text()
COPIES = f".snakemake/storage/s3/{BUCKET}/{PREFIX}"
STORAGE = ("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/pcft")
REGION = "us-east-1"


@dataclass(frozen=True)
class Server:
    """An S3 server, and the keys of one who may use it."""

    url: str
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets; nothing of this machine's own is looked at."""
        keys = {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_EC2_METADATA_DISABLED": "true"}
        nowhere = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
        return {**keys, **nowhere, "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": self.url}

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)

    def objects(self, prefix: str = PREFIX) -> dict[str, Any]:
        """Return key, without the prefix, -> what the server tells about the object."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {entry["Key"].removeprefix(prefix): entry for page in pages for entry in page.get("Contents", [])}

    def read(self, name: str) -> bytes:
        body: bytes = self.client("s3").get_object(Bucket=BUCKET, Key=PREFIX + name)["Body"].read()
        return body


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            wait_for(lambda: process.poll() is not None or answers(port), 60)
            assert process.poll() is None, log.read_text()
            yield locked(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(30)


def answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def locked(url: str) -> Server:
    """Make a user who may use S3, then have the server refuse everybody else."""
    iam = Server(url, "anybody", "anything").client("iam")
    iam.create_user(UserName="researcher")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="researcher", PolicyName="s3", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="researcher")["AccessKey"]
    request = urllib.request.Request(f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    return Server(url, key["AccessKeyId"], key["SecretAccessKey"])


def commands() -> list[str]:
    """Return the commands of docs/storage.md."""
    return re.findall(r"^ {4,}((?:pip|snakemake|python) .+)$", PAGE, re.MULTILINE)


def elsewhere(done: Workspace, server: Server, folder: Path) -> Workspace:
    """Return a workspace in an empty folder, with the configuration, texts (and their times) and model of another."""
    workspace = Workspace.create(folder, done.config, model=done.folder / "tiny", texts=done.folder / "texts")
    workspace.environment = {**server.environment, "XDG_CONFIG_HOME": str(folder / "configuration")}
    shutil.copy(folder / "config.yaml", folder / "mine.yaml")
    (folder / "configuration/snakemake/bucket").mkdir(parents=True)
    (profile,) = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
    settings = {**yaml.safe_load(profile), "storage-s3-endpoint-url": server.url}
    (folder / "configuration/snakemake/bucket/profile.yaml").write_text(yaml.safe_dump(settings))
    return workspace


def said(workspace: Workspace, command: str) -> str:
    """Run a command of the page as it stands; it must succeed."""
    words = shlex.split(command.replace("--cores all", "--cores 2"))
    environment = workspace.call()["env"]
    result = subprocess.run(words, check=False, cwd=workspace.folder, env=environment, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, command + result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def stored(done: Workspace, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that has put everything into the bucket, with the first Snakemake command of the page."""
    workspace = elsewhere(done, server, tmp_path_factory.mktemp("stored") / "w")
    said(workspace, next(command for command in commands() if command.startswith("snakemake")))
    return workspace


def test_the_bucket_holds_the_same_bytes(done: Workspace, stored: Workspace, server: Server) -> None:
    """Every object is a file of a run without storage, and all that results are made of is there, reports and times included."""
    results, objects = done.folder / "results", server.objects()
    files = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    journals = {name for name in files if Path(name).name == journal.NAME}
    assert len(journals) == 5
    assert files - objects.keys() == {"models/tiny/generation_config.json", "overview.html"} | journals
    assert objects.keys() <= files
    expected = made(done)
    assert len(expected) > 100
    assert [name for name, content in expected.items() if name in objects and server.read(name) != content] == []
    report = server.read("report.html").decode()
    assert all(name in report for name in ("final-main.csv", "trust-other.png", "mixture-places-tiny.png"))


def test_what_stays_on_the_machine(stored: Workspace) -> None:
    """Logs, times, journals, copies of settings, and what is no result; no empty folders of checkpoints."""
    assert [path.name for path in (stored.folder / "results").iterdir()] == ["overview.html"]
    copies = {path.relative_to(stored.folder / COPIES) for path in (stored.folder / COPIES).rglob("*") if path.is_file()}
    assert {path.name for path in copies if path.parts[0] not in ("logs", "benchmarks")} <= {
        "settings.json",
        "generation_config.json",
        journal.NAME,
    }
    assert not list(stored.folder.rglob("checkpoints"))


def test_every_command_of_the_page(done: Workspace, stored: Workspace, server: Server, tmp_path: Path) -> None:
    """The first was run by the fixture; the others here, in another folder, which finds everything done."""
    pip, first, profile, verify = commands()
    assert pip == 'pip install -e ".[s3]"'
    assert "s3 = [" in (ROOT / "pyproject.toml").read_text()
    assert shlex.split(first)[-4:] == list(STORAGE)
    workspace = elsewhere(done, server, tmp_path / "w")
    before = server.objects()
    assert "Nothing to be done" in said(workspace, profile)
    assert server.objects() == before
    for name in before:
        (workspace.folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.folder / "copy" / name).write_bytes(server.read(name))
    assert "every file is the one that its manifest describes" in said(workspace, verify)


def test_what_is_finished_is_found_in_the_bucket(done: Workspace, stored: Workspace, server: Server, tmp_path: Path) -> None:
    """Tables and sweeps of the runs that are there, elsewhere than where they were made."""
    workspace = elsewhere(done, server, tmp_path / "w")
    config = workspace.config
    config["experiments"]["other"]["strategies"] = ["local", "weights"]
    values = {"nobody": None, "flip": {"clients": [0], "attack": "flip"}}
    config["sweeps"] = {"attacks": {"experiment": "other", "setting": "events.poison", "values": values}}
    workspace.config = config
    targets = [f"results/{name}" for name in ("tables/final-other.md", "figures/sweep-attacks.png")]
    workspace.run(*targets, *STORAGE, "--forcerun", "table", "--config", "runs=finished")
    table = server.read("tables/final-other.md").decode()
    assert "Missing: 1 of 2 runs (weights/seed=1)" in table
    assert len(server.read("figures/sweep-attacks.png")) > 5000


def test_a_run_resumes_from_its_checkpoint(done: Workspace, server: Server, tmp_path: Path) -> None:
    """SIGTERM to a training job: it leaves a checkpoint beside the local copies, and Snakemake starts it again."""
    workspace = elsewhere(done, server, tmp_path / "w")
    config = workspace.config
    config["experiments"]["main"]["training"]["iterations"] = 400
    config["experiments"]["main"]["exchange"]["warmup"] = 300
    workspace.config = config
    copies = workspace.folder / COPIES.replace("pcft", "again")
    log = copies / "logs/warmup/main/seed=1.log"
    options = ("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/again")
    with running(workspace, *options, "--until", "warmup") as process:
        wait_for(lambda: log.exists() and "iteration" in log.read_text())
        settings = str((copies / "runs/main/warmup/settings.json").relative_to(workspace.folder))
        (training,) = (job for job in children(process) if {"-m", "pcft", "warmup", settings} <= set(words(job)))
        training.terminate()
        assert process.wait(300) == 0
    assert "the last attempt was stopped (SIGTERM)" in log.read_text()
    objects = server.objects("again/results/")
    assert "runs/main/warmup/seed=1/state.safetensors" in objects
    assert not [name for name in objects if "checkpoints" in name]
    assert not list(copies.rglob("checkpoints"))


def wrong_key(server: Server) -> dict[str, str]:
    return {"AWS_SECRET_ACCESS_KEY": "guessed"}


def no_key(server: Server) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


def no_server(server: Server) -> dict[str, str]:
    return {"SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": "http://127.0.0.1:9"}


ERRORS = [
    (wrong_key, "An error occurred (403) when calling the HeadObject operation: Forbidden"),
    (no_key, "Unable to locate credentials"),
    (no_server, 'Could not connect to the endpoint URL: "http://127.0.0.1:9/'),
]


@pytest.mark.parametrize(("fault", "message"), ERRORS)
def test_what_is_wrong_is_said_before_any_job(
    done: Workspace, server: Server, tmp_path: Path, fault: Callable[[Server], dict[str, str]], message: str
) -> None:
    workspace = elsewhere(done, server, tmp_path / "w")
    workspace.environment |= fault(server)
    result = workspace.snakemake(*STORAGE)
    output = result.stdout + result.stderr
    assert result.returncode == 1
    assert f"Failed to check existence of s3://{BUCKET}/pcft/results/figures/settings.json" in output
    assert message in output
    assert "Traceback" not in output
    if fault is wrong_key:
        assert message in PAGE


def test_a_prefix_without_a_scheme_is_named(done: Workspace, server: Server, tmp_path: Path) -> None:
    workspace = elsewhere(done, server, tmp_path / "w")
    result = workspace.snakemake("--default-storage-provider", "s3", "--default-storage-prefix", "my-bucket/pcft")
    assert result.returncode == 1
    assert "must start with s3 (s3://...)" in result.stdout + result.stderr


def test_elsewhere_only_what_a_change_concerns_runs(done: Workspace, stored: Workspace, server: Server, tmp_path: Path) -> None:
    """In a folder without records settings in the bucket say what is out of date. (The last of these tests, for it changes the bucket.)"""
    workspace = elsewhere(done, server, tmp_path / "w")
    config = workspace.config
    config["experiments"]["main"]["training"]["learning_rate"] = 1e-3
    workspace.config = config
    shown = {"table": 1, "costs": 1, "figure": len(FIGURES), "ranking": 1, "comparison": 1}
    assert workspace.pending(*STORAGE) == {"warmup": 1, "finetune": 2, **shown}
    before = server.objects()
    workspace.run("runs", *STORAGE)
    assert workspace.pending(*STORAGE) == shown
    after = server.objects()
    changed = {name for name in before if before[name]["ETag"] != after[name]["ETag"] and "seed=1/" in name}
    assert {name.split("/")[1] for name in changed if name.startswith("runs/")} == {"main"}
    assert "runs/main/fedavg/seed=1/metrics.parquet" in changed
