# Each target calls a script in bin/; CI calls the same ones.
.DEFAULT_GOAL := help
.PHONY: help run test test-long test-all demo chaos explore mutants mutation bench slow lint format contract audit check lock sbom images clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start everything on this machine against the sandbox (Ctrl-C stops it)
	@bin/run

test: ## run the whole test suite (TESTS="tests/unit -k refund" for a part)
	@bin/test $(TESTS)

test-long: ## run the longest tests only, and try more cases in others
	@bin/test --long $(TESTS)

test-all: ## run the suite with its longest tests too
	@bin/test --all $(TESTS)

demo: ## pay, be declined, do 3DS, refund, dispute: against a running make run
	@bin/demo

bench: ## run the benchmarks and print their figures (ARGS="--short webhook" for a part)
	@bin/bench $(ARGS)

chaos: ## kill processes at random under traffic and audit what became of it (ARGS="--kills 50")
	@bin/chaos $(ARGS)

explore: ## try every order of the steps of the real scripts and workers (ARGS="--wide --seconds 1200")
	@bin/explore $(ARGS)

mutants: ## make one change at a time and see which test fails (ARGS="claim.lua" for a part)
	@bin/mutants $(ARGS)

mutation: ## have a library change policy, delivery, facts and answers (ARGS="'worker.policy*'" for a part)
	@bin/mutation $(ARGS)

slow: ## have clients and peers take their time, and print what other callers notice
	@bin/slow $(ARGS)

lint: ## linters and types
	@bin/lint

format: ## put every file into the house's format
	@bin/format

contract: ## compare the sandbox with Stripe's own description, SDKs and CLI
	@bin/contract

audit: ## look every package up in the advisory database
	@bin/audit

check: ## every gate: linters, types, import rules, tests with branch coverage
	@bin/check

lock: ## pin every package anew (ARGS=--upgrade for newer versions)
	@bin/lock $(ARGS)

sbom: ## write the bill of materials of both images
	@bin/sbom

clean: ## remove the venv, the embedded Valkey's data and all caches
	@bin/clean
