# Short names for what one does all day; `.ci/run` does all of it in a fresh environment.

default:
    @just --list

# the suite, without what is slow or needs a GPU
test *args:
    python -m pytest -n 2 --dist loadfile {{args}}

# tests that fetch weights or take minutes
slow:
    python -m pytest -m slow

lint:
    ruff check .
    ruff format --check .
    lint-imports

format:
    ruff check --fix .
    ruff format .

types:
    mypy

# one plugin's tests: just plugin likelihood
plugin name:
    python -m pytest tests/plugins -k {{name}}

# the embedded stack from nothing
pretrain:
    orality pretrain tiny --out runs/pretrain-tiny
