"""What the local Hub reads out of Dockerfiles and front matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from localhub.runtime.spaces import dockerfile, readme
from localhub.runtime.spaces.build import BuildFailure, build
from localhub.runtime.spaces.records import SpaceStage
from localhub.runtime.volumes import relocated

WHOLE = r"""# syntax=docker/dockerfile:1
ARG VERSION=3.11
FROM python:${VERSION}-slim AS builder
ENV LOST=yes
FROM python:${VERSION}-slim
ARG FLAVOUR=plain
ENV HOME=/home/user \
    # a comment amid a continuation
    PATH=/home/user/.local/bin:$PATH \
    NAME="two words" COST=\$5 TASTE=${FLAVOUR} ELSE=${NONE:-other} THEN=${NAME:+set}
ENV OLD style of env
RUN <<EOF
CMD not me
EOF
WORKDIR /home/user
WORKDIR app
COPY --chown=user requirements.txt ./
COPY --from=builder /nowhere /there
ADD https://example.org/x /x
COPY ["with space.txt", "/app/"]
EXPOSE 7860
ENTRYPOINT ["/usr/bin/env"]
CMD ["python", "-m", "worker"]
"""


def test_a_dockerfile_is_read_as_docker_reads_it() -> None:
    image = dockerfile.read(WHOLE, {"FLAVOUR": "sweet", "UNDECLARED": "x"})
    assert image.base == "python:3.11-slim" and image.workdir == "/home/user/app"
    assert image.argv == ["/usr/bin/env", "python", "-m", "worker"]
    assert image.copied == ["requirements.txt", "with space.txt"]
    assert image.environment == {
        "HOME": "/home/user",
        "PATH": f"/home/user/.local/bin:{dockerfile.BASE_PATH}",
        "NAME": "two words",
        "COST": "$5",
        "TASTE": "sweet",
        "ELSE": "other",
        "THEN": "",
        "OLD": "style of env",
    }


def test_the_shell_form_goes_through_a_shell_and_the_last_command_counts() -> None:
    image = dockerfile.read("FROM a\nCMD echo one\nCMD exec python app.py $PORT\n", {})
    assert image.argv == ["/bin/sh", "-c", "exec python app.py $PORT"]
    assert dockerfile.read('FROM a\nCMD ["x"]\nENTRYPOINT ["y"]\n', {}).argv == ["y"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no FROM"),
        ("RUN x\nFROM a\n", "line 1: no build stage"),
        ("FROM a\n\nBAKE x\n", "line 3: unknown instruction: BAKE"),
        ("FROM a\nCMD\n", "line 2: CMD requires"),
        ("FROM a\nENV A=1 B\n", "can't find = in 'B'"),
        ('FROM a\nENV A="1\n', "no closing quotation"),
        ("FROM a\nCOPY one\n", "at least two arguments"),
        ("FROM a\nRUN <<END\nx\n", "unterminated heredoc END"),
    ],
)
def test_what_is_wrong_with_a_dockerfile_is_told_with_its_line(text: str, words: str) -> None:
    with pytest.raises(dockerfile.DockerfileError, match=words):
        dockerfile.read(text, {})


def test_front_matter_decides_how_a_space_runs() -> None:
    config = readme.read(
        "---\nsdk: docker\ntitle: T\napp_port: 8080\nstartup_duration_timeout: 1h\n"
        "hf_oauth: true\nhf_oauth_scopes: [email]\nemoji: x\n---\n# Text\n"
    )
    assert (config.sdk, config.app_port, config.title) == ("docker", 8080, "T")
    assert config.startup_duration_timeout == 3600 and config.hf_oauth_scopes == ("email",)
    assert readme.read("---\nsdk: gradio\n---").app_port == 7860


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# A title", "Missing configuration"),
        ("---\ntitle: x\n---\n", "no sdk"),
        ("---\nsdk: [\n---\n", "Invalid YAML"),
        ("---\nsdk: cobol\n---\n", "sdk"),
        ("---\nsdk: docker\napp_port: 0\n---\n", "app_port"),
        ("---\nsdk: docker\nstartup_duration_timeout: soon\n---\n", "startup_duration_timeout"),
    ],
)
def test_what_is_wrong_with_front_matter_is_told(text: str, words: str) -> None:
    with pytest.raises(readme.ConfigError, match=words):
        readme.read(text)


def test_a_build_moves_paths_of_the_container_to_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nsdk: docker\n---\n")
    (tmp_path / "Dockerfile").write_text(
        'FROM a\nWORKDIR /app\nENV LIB=/app/lib:/x OTHER=/apple\nCMD ["python", "/app/a.py"]\n'
    )
    said: list[str] = []
    built = build(tmp_path, {}, said.append)
    argv, environment = built.here(tmp_path)
    assert argv == ["python", f"{tmp_path}/a.py"]
    assert environment == {"LIB": f"{tmp_path}/lib:/x", "OTHER": "/apple"}
    assert said[0] == "--> FROM a\n"
    (tmp_path / "Dockerfile").unlink()
    with pytest.raises(BuildFailure) as caught:
        build(tmp_path, {}, said.append)
    assert caught.value.stage is SpaceStage.NO_APP_FILE


def test_only_whole_parts_of_a_path_are_relocated() -> None:
    places = {"/data": "/run/mnt/data"}
    moved = [relocated(text, places) for text in ("/data", "/data/a", "/database", "x /data")]
    assert moved == ["/run/mnt/data", "/run/mnt/data/a", "/database", "x /data"]
