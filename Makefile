# One environment (.venv) for everything. `make demo` needs Python >= 3.11 and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := pyproject.toml constraints.txt

.PHONY: demo test test-all peers check wheel bench docs clean

.venv/.core: $(SOURCES)
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/.dev: .venv/.core
	$(PIP) -e '.[dev,torch,worlds,llm,language]'
	@touch $@

.venv/.all: .venv/.dev
	$(PIP) -e '.[dev,torch,jax,mutation,worlds,llm,language,ray,tensorboard,wandb,mlflow,trackio,sweep]'
	@touch $@

demo: .venv/.core  ## install the core, run the headline comparison, diagnose the example log
	@$(BIN)/python -m counterpoint demo

test: .venv/.dev  ## the tests: 6 to 10 minutes on two cores
	$(BIN)/python -m pytest -n 2 -rs

test-all: .venv/.all  ## also the slow proofs: torch, JAX, Ray, kill loops, mutation testing
	COUNTERPOINT_EXAMPLES=1000 $(BIN)/python -m pytest -n 2 -rs -m 'slow or not slow'
	$(BIN)/python bench/mutation.py

peers: .venv/.dev  ## the environments in which slow tests run other trainers' real packages (6 GB)
	$(BIN)/python bench/peer_environments.py

check: .venv/.dev  ## what people, hooks and CI run before the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python docs/words.py
	$(BIN)/python docs/tables.py --check

docs: .venv/.dev  ## regenerate what the code knows (help, catalogue, headline, notebooks, tables), and build the site
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/headline.py
	$(BIN)/python docs/notebooks.py
	$(BIN)/python docs/tables.py
	$(BIN)/python docs/site.py

wheel: .venv/.dev  ## the built wheel with each extra in an empty environment (network, 10 GB, an hour)
	$(BIN)/python bench/wheel.py

bench: .venv/.dev  ## the experiments behind every number in the docs, with intervals
	$(BIN)/python bench/run.py --out counterpoint-out/bench
	$(BIN)/python bench/adaptive.py --out counterpoint-out/bench/adaptive --worlds recipes final
	$(BIN)/python bench/calibrate.py --out counterpoint-out/bench
	$(BIN)/python bench/battery.py --out counterpoint-out/bench --others
	$(BIN)/python bench/speed.py --out counterpoint-out/bench/speed.json
	$(BIN)/python bench/policies.py --out counterpoint-out/bench/policies
	$(BIN)/python bench/tune.py --out counterpoint-out/bench/tune.json
	$(BIN)/python bench/talk.py --out counterpoint-out/bench/talk
	$(BIN)/python bench/training.py --out counterpoint-out/bench/training.json
	$(BIN)/python bench/epymarl.py --out counterpoint-out/bench/epymarl
	$(BIN)/python -m counterpoint model fetch
	$(BIN)/python bench/language.py --out counterpoint-out/bench/language.json
	$(BIN)/python bench/language_results.py --out counterpoint-out/bench/language
	$(BIN)/python bench/teams.py --out counterpoint-out/bench/teams
	$(BIN)/python bench/judge.py --out counterpoint-out/bench/judge.json
	$(BIN)/python bench/ruler.py --out counterpoint-out/bench/ruler.json
	$(BIN)/python bench/audits.py --out counterpoint-out/bench/audits.json
	$(BIN)/python bench/long_logs.py --out counterpoint-out/bench/long_logs.json
	$(BIN)/python bench/grown.py --out counterpoint-out/bench/grown.json
	$(BIN)/python bench/published.py --out counterpoint-out/bench/published.json
	$(BIN)/python bench/topologies.py --out counterpoint-out/bench/topologies.json
	$(BIN)/python bench/loop.py --out counterpoint-out/bench/loop.json
	$(BIN)/python bench/populations.py --neural --out counterpoint-out/bench/populations.json
	$(BIN)/python bench/peer_environments.py
	$(BIN)/python bench/peers/edge_cases.py
	$(BIN)/python bench/trainers.py
	$(BIN)/python bench/cooperation.py --out counterpoint-out/bench/cooperation.csv
	$(BIN)/python bench/times.py
	$(BIN)/python bench/front_door.py

clean:
	rm -rf .venv build dist site
