# Each target calls a script in bin/; CI calls the same ones.
.DEFAULT_GOAL := help
.PHONY: help run test test-long test-all demo chaos explore mutants mutation bench slow lint format contract audit check lock sbom images clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start everything on this machine against the sandbox (Ctrl-C stops it)
	@bin/run

test: ## run the whole test suite (TESTS="tests/unit -k refund" for a part)
	@bin/test $(TESTS)

test-long: ## run only the longer tests, and try more cases in others
	@bin/test --long $(TESTS)

test-all: ## run everything, the longest tests too (a quarter of an hour and more)
	@bin/test --all $(TESTS)

demo: ## pay, be declined, do 3DS, refund, dispute: with a running make run
	@bin/demo

bench: ## run the benchmarks and print their figures (ARGS="--short webhook" for a part)
	@bin/bench $(ARGS)

chaos: ## kill processes at random under traffic and audit the outcome (ARGS="--kills 50")
	@bin/chaos $(ARGS)

explore: ## try every order of the steps of the real scripts and workers (ARGS="--wide --seconds 1200")
	@bin/explore $(ARGS)

mutants: ## make one change at a time and see which test fails (ARGS="claim.lua" for a part)
	@bin/mutants $(ARGS)

mutation: ## let a library change policy, delivery, facts and answers (ARGS="'worker.policy*'" for a part)
	@bin/mutation $(ARGS)

slow: ## run with slow clients and peers, and print the effect on other callers
	@bin/slow $(ARGS)

lint: ## run the linters and the type checker
	@bin/lint

format: ## format every file
	@bin/format

contract: ## compare the sandbox with Stripe's API description, SDKs and CLI
	@bin/contract

audit: ## look up every package in the advisory database
	@bin/audit

check: ## run every gate: linters, types, import rules, tests with branch coverage
	@bin/check

lock: ## pin every package again (ARGS=--upgrade for newer versions)
	@bin/lock $(ARGS)

sbom: ## write the bill of materials of both images
	@bin/sbom

clean: ## remove the venv, the embedded Valkey's data and all caches
	@bin/clean
