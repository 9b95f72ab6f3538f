# make demo          train and attack two networks on the bundled digits, in minutes; writes under demo/
# make test          lint, types, tests
# make leaderboard   train and attack what leaderboard.db publishes, again if anything changed
# make photographs   train and attack a board of photographs, and add it to leaderboard.db; PHOTOGRAPHS names them
# make docs          the documentation site, in site-docs/; fails if a link leads nowhere
# make slow          the tests that take long: whole commands, processes, pages of docs/, trackers' libraries
# make soak          kill, freeze, and stop commands for 20 minutes, and print what was reached; SOAK has its options
# make cluster       the tests of a Ray cluster of several machines in this one, whose machines and workers die
# make browser       the tests of the web page, in a Chromium that is installed

.PHONY: demo test docs slow soak cluster browser leaderboard photographs clean
.DEFAULT_GOAL := demo

BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first Python on this machine that harness runs on; `make demo PYTHON=...` names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "harness needs Python 3.11, 3.12, or 3.13; name one: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .venv

.venv/user: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

.venv/developer: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@ .venv/user .venv/docs

.venv/docs: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	@touch $@ .venv/user

demo: .venv/user
	@mkdir -p demo
	$(BIN)/harness run sat lrat --dataset digits --arch smallcnn --seeds 5 \
		--db demo/leaderboard.db --runs-dir demo/runs --data-dir demo/data

test: .venv/developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow and not browser"

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

slow: .venv/developer
	$(BIN)/pytest -n 2 --dist worksteal -m slow

soak: .venv/developer
	$(BIN)/python -m tests.soak --minutes 20 $(SOAK)

cluster: .venv/developer
	$(BIN)/pytest -n 2 --dist worksteal -m slow tests/cluster

browser: .venv/developer
	$(BIN)/pytest -n 2 --dist worksteal -m browser

# --plain: the first networks were published so, and on such a processor come out the same to the bit; then what
# leaderboard.db lacks of them is added (margins, a newer attack, newer checks), and nothing there changes. The methods
# that came later take the fast path; their teachers are networks of the first command. Then six methods are tuned.
PUBLISHED := runs/published
ON_DIGITS := --dataset digits --arch smallcnn --seeds 5 --train-seeds 5 --db $(PUBLISHED).db --runs-dir $(PUBLISHED)
HELPER := $(PUBLISHED)/standard-smallcnn-digits-s0-6dba1548/last.safetensors
TEACHER := $(PUBLISHED)/sat-smallcnn-digits-s0-c76b6dfa/last.safetensors
leaderboard: export HARNESS_HOST = published
leaderboard: .venv/developer
	@mkdir -p runs
	$(BIN)/harness run standard sat gairat lrat trades gair-trades lrat-trades --plain $(ON_DIGITS)
	$(BIN)/harness run mail mail-trades fat fat-trades gair-fat fast n-fgsm grad-align free cfa cfa-trades \
		mart alp lbgat dkl hat ard rslad --set hat.helper=$(HELPER) --set ard.teacher=$(TEACHER) \
		--set rslad.teacher=$(TEACHER) $(ON_DIGITS)
	$(BIN)/harness tune sat gairat lrat trades mail fat --trials 20 \
		--protocol scripts/boards/held-out.toml $(ON_DIGITS)
	$(BIN)/python -m scripts.merge_board $(PUBLISHED).db
	$(BIN)/python -m scripts.publish

photographs: .venv/developer
	@test -n "$(PHOTOGRAPHS)" || { echo "name a folder or an archive of class folders: make photographs PHOTOGRAPHS=..."; exit 2; }
	$(BIN)/python -m scripts.board scripts/boards/two-cores.toml --photographs $(PHOTOGRAPHS)
	$(BIN)/python -m scripts.merge_board runs/boards/two-cores/board.db
	$(BIN)/python -m scripts.publish

clean:
	rm -rf demo site-docs
