"""What run.json holds, and what it must not."""

import json
import subprocess

from counterpoint import __version__
from counterpoint.runs.provenance import git_revision, provenance


def test_facts_are_json_and_name_config_and_version(monkeypatch):
    monkeypatch.setenv("SECRET_API_KEY", "sk-do-not-write-me")
    facts = json.loads(provenance({"seeds": 3}).encode())
    assert facts["config"] == {"seeds": 3}
    assert facts["version"] == __version__
    assert "sk-do-not-write-me" not in json.dumps(facts)


def test_revision_is_none_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision() is None


def test_revision_marks_uncommitted_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("1")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run([*run, *command], check=True)
    clean = git_revision()
    assert clean is not None
    assert len(clean) == 40
    (tmp_path / "file").write_text("2")
    assert git_revision() == clean + "+"
