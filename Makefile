# The commands of Pawprint. ENV=local (the default) uses the local AWS and cannot reach AWS. ENV=aws uses your
# credentials. ENV=aws REHEARSE=1 runs AWS's settings and code path on the local AWS. `make help` lists the targets.

.DEFAULT_GOAL := help
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:  # `make -j data train promote` is one after the other

ENV ?= local
PYTHON ?= python3
# The environments with REHEARSE=1 share a local AWS of their own, apart from that of ENV=local (deploy/environment.py).
DRESS := $(if $(REHEARSE),$(filter-out local,$(ENV)))
LOCALAWS_PORT ?= $(if $(DRESS),4567,4566)
PAWPRINT_HOME ?= $(CURDIR)/.local
export ENV REHEARSE LOCALAWS_PORT PAWPRINT_HOME CONFIRM
export LOCALAWS_HOME := $(PAWPRINT_HOME)/$(if $(DRESS),aws-rehearsal/)localaws
export PYTHONPATH := $(CURDIR):$(CURDIR)/payloads/shared
export TF_CLI_CONFIG_FILE := $(PAWPRINT_HOME)/terraform.rc
unexport PYTHONDONTWRITEBYTECODE  # with it, every command compiles all its imports, which takes seconds

PY := .venv/bin/python
# The end-to-end tests are the longest chain, so they start first.
PYTEST_ALL = $(PY) -m pytest tests/e2e tests/terraform tests/packaged tests/unit -q -n 3 --no-loadscope-reorder
# The value of a make variable reaches a command through the environment, so it may contain any character. These give
# `--name value`, or the value alone, if the variable is set.
option = $${$(1):+--$(2) "$$$(1)"}
argument = $${$(1):+"$$$(1)"}
# The options that train, tune and train-ec2 share (deploy/options.py). RUN names a run that was started before.
run_options = $(foreach each,DATA:data ARCH:arch EPOCHS:epochs PATIENCE:patience BATCH:batch LR:lr \
	WEIGHT_DECAY:weight-decay DROPOUT:dropout AUGMENT:augment SEED:seed PRECISION:precision RESOLUTION:resolution HEAD:head CLASS_WEIGHTS:class-weights LIMITS:limits PRESET:preset \
	WEIGHTS:weights MAX_MINUTES:max-minutes RUN:run,\
	$(call option,$(word 1,$(subst :, ,$(each))),$(word 2,$(subst :, ,$(each))))) $(if $(FINE_TUNE),--fine-tune)
train_options = $(run_options) $(call option,INSTANCES,instances) $(if $(SPOT),--spot) $(call option,RESUME,resume)

##@ Start here
.PHONY: help setup images up
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Every target begins here, so this looks at the times of files only, and does nothing if they are current.
setup: ## Prepare this checkout: packages from the hashed lock, Terraform, its provider
	@[ .venv/.synced -nt requirements.lock ] && [ .venv/.synced -nt deploy/setup.py ] && \
		[ -d build/serving-runtime ] && [ -f "$$TF_CLI_CONFIG_FILE" ] && \
		PATH="$$PATH:.venv/bin" command -v terraform >/dev/null || $(PYTHON) deploy/setup.py

images: setup ## Prepare the environments of all AWS images that the rehearsal runs (9 GB more)
	@$(PY) -m localaws.images prepare

up: setup ## From nothing to a URL: deploy, train on the sample, promote, predict; the variables of train, V=1 shows everything
	@$(PY) -m deploy.commands.up $(if $(V),--verbose) $(train_options)

##@ Infrastructure
.PHONY: plan apply destroy output package upload backend
plan: setup ## Show what apply would change
	@$(PY) -m deploy.commands.plan
apply: setup ## Package the payloads and deploy the stack
	@$(PY) -m deploy.commands.apply
destroy: setup ## Remove everything that was deployed (asks first on AWS)
	@$(PY) -m deploy.commands.destroy
output: setup ## Print the outputs of the stack as JSON
	@$(PY) -m deploy.commands.output
backend: setup ## Create the bucket of the shared Terraform state, and move the state of this machine there
	@$(PY) -m deploy.commands.backend
package: setup ## Package the payloads into build/, with reproducible bytes
	@$(PY) -m deploy.commands.package
upload: setup ## Upload the packages that the artifacts bucket does not have
	@$(PY) -m deploy.commands.upload

##@ Checks and cost
.PHONY: doctor cost sleep wake verify
doctor: setup ## Check this machine, the account and the stack before an apply; V=1 shows the figures
	@$(PY) -m deploy.commands.doctor $(if $(V),--details)
cost: setup ## Show what the stack costs, idle and with traffic, line by line: RATE= IMAGE_KB= USAGE=file
	@$(PY) -m deploy.commands.cost $(call option,RATE,rate) $(call option,IMAGE_KB,image-kb) $(call option,USAGE,usage)
sleep: setup ## Stop everything that costs while idle; data, models and the URL stay
	@$(PY) -m deploy.commands.sleep
wake: setup ## Start again what sleep stopped
	@$(PY) -m deploy.commands.wake
verify: setup ## Ask the deployed stack what nobody could check on AWS, and write a report to send in: ONLY=name
	@$(PY) -m deploy.commands.verify $(call option,ONLY,only)

##@ Model
.PHONY: data review train tune train-ec2 promote releases export
data: setup ## Check and upload labelled photographs: DATA=folder|list|archive|s3-uri NAME= SPLIT=70/15/15 SEED= SKIP_BROKEN=1 ALLOW_DUPLICATES=1; default: the built-in sample
	@$(PY) -m deploy.commands.data $(call argument,DATA) $(call option,NAME,name) $(call option,SPLIT,split) $(call option,SEED,seed)
review: setup ## Label captured images in a page on this machine, and add them to the next version of a dataset: DATA=dataset NAME= LIMIT= PORT=
	@$(PY) -m deploy.commands.review $(call option,DATA,data) $(call option,NAME,name) $(call option,LIMIT,limit) $(call option,PORT,port)
train: setup ## Train in SageMaker: DATA= PRESET=fast|balanced|best ARCH= WEIGHTS=file CLASS_WEIGHTS=balanced LIMITS=classes HEAD= RESOLUTION= EPOCHS= LR= BATCH= SEED= AUGMENT= PRECISION= FINE_TUNE=1 INSTANCES= SPOT=1 MAX_MINUTES= RESUME=job RUN=job
	@$(PY) -m deploy.commands.train $(train_options)
tune: setup ## Tune in SageMaker: the variables of train, ARCH=a,b AUGMENT=a,b JOBS= PARALLEL= STRATEGY= WARM_START=job RUN=job
	@$(PY) -m deploy.commands.tune $(run_options) $(call option,JOBS,jobs) $(call option,PARALLEL,parallel) \
		$(call option,STRATEGY,strategy) $(call option,WARM_START,warm-start)
train-ec2: setup ## Train on the EC2 instance, over SSM: the variables of train except INSTANCES, SPOT and RESUME; THREADS= WORKERS= RUN=name
	@$(PY) -m deploy.commands.train_ec2 $(run_options) $(call option,THREADS,threads) $(call option,WORKERS,workers)
export: setup ## Write a trained model for other runtimes, and compare its answers: FORMAT=onnx MODEL=run|tuning-job|s3-uri IMAGES=folder OUT=file
	@$(PY) -m deploy.commands.export $(call option,FORMAT,format) $(call option,MODEL,model) $(call option,IMAGES,images) \
		$(call option,OUT,out)
promote: setup ## Put a model behind the URL, blue/green, unless it is worse than the live one: MODEL=run|tuning-job|s3-uri|release|previous EVAL=folder|dataset FORCE=1; default: the newest model
	@$(PY) -m deploy.commands.promote $(call argument,MODEL) $(call option,EVAL,eval) $(if $(FORCE),--force)
releases: setup ## List the promotions: who, when, which model and data, and which one is live
	@$(PY) -m deploy.commands.releases

##@ Use
.PHONY: predict predict-batch url page curl report notebook status dashboard logs permissions load-test capacity
predict: setup ## Classify with the function URL: IMAGE=file|url for JSON, IMAGE=folder|*.jpg|s3-uri for a table, OUT=file.csv for a CSV; TOP_K=
	@$(PY) -m deploy.commands.predict $(call argument,IMAGE) $(call option,TOP_K,top-k) $(call option,OUT,out)
predict-batch: setup ## Classify many images by a SageMaker batch transform job: INPUT=folder|s3-uri OUT=file.csv OUTPUT=s3-uri TOP_K= INSTANCES= RUN=job
	@$(PY) -m deploy.commands.predict_batch $(call option,INPUT,input) $(call option,OUT,out) $(call option,OUTPUT,output) \
		$(call option,TOP_K,top-k) $(call option,INSTANCES,instances) $(call option,RUN,run)
url: setup ## Print the function URL
	@$(PY) -m deploy.commands.url
page: setup ## Open the function's page in a browser, through a proxy that signs, until Ctrl-C: PORT=
	@$(PY) -m deploy.commands.page $(call option,PORT,port)
curl: setup ## Print a curl command for the function URL: IMAGE=file
	@$(PY) -m deploy.commands.curl $(call option,IMAGE,image)
report: setup ## Fetch and open the report of a run: RUN=run|tuning-job; default: the last run
	@$(PY) -m deploy.commands.report $(call argument,$(if $(RUN),RUN,JOB))
notebook: setup ## Start the notebook instance if it is stopped, and open its JupyterLab
	@$(PY) -m deploy.commands.notebook
permissions: setup ## Show which permissions each role used in the rehearsal; DETAILS=1 names the others, WRITE=1 writes terraform/deployer-policy.json: NAME=
	@$(PY) -m deploy.commands.permissions $(if $(DETAILS),--details) $(if $(WRITE),--write) $(call option,NAME,name)
status: setup ## Show on one screen what runs, its traffic, alarms and cost, and what to do next
	@$(PY) -m deploy.commands.status
dashboard: setup ## The same with charts of the last half hour, live until Ctrl-C
	@$(PY) -m deploy.commands.dashboard
load-test: setup ## Test how much the deployment answers, and recommend settings: RATE= DURATION=60s SHAPE=constant|ramp|spike|diurnal|file.csv TARGET=url|endpoint IMAGES=dir SLO='p99<300ms,errors<0.1%' CAP= WRITE=1
	@$(PY) -m deploy.commands.load_test $(call option,RATE,rate) $(call option,DURATION,duration) $(call option,SHAPE,shape) \
		$(call option,TARGET,target) $(call option,IMAGES,images) $(call option,SLO,slo) $(call option,CAP,cap) $(if $(WRITE),--write)
capacity: setup ## Find the cheapest settings by simulation: TRACE=diurnal|shape|file RATE= DURATION=24h SLO='p99<300ms,errors<0.1%' BUDGET= KINDS= TYPES= START= CALIBRATION=file WRITE=1 FORECAST=1
	@$(PY) -m deploy.commands.capacity $(call option,TRACE,trace) $(call option,RATE,rate) $(call option,DURATION,duration) \
		$(call option,SLO,slo) $(call option,BUDGET,budget) $(call option,KINDS,kinds) $(call option,TYPES,types) $(call option,START,start) \
		$(call option,CALIBRATION,calibration) $(if $(WRITE),--write) $(if $(FORECAST),--forecast)
logs: setup ## Read logs: WHAT=train|endpoint|lambda|ec2 JOB=name FOLLOW=1; REQUEST=id: one request in all of them
	@$(PY) -m deploy.commands.logs $(call option,WHAT,what) $(call option,JOB,job) $(call option,REQUEST,request) $(if $(FOLLOW),--follow)

##@ The local AWS
.PHONY: local-up local-down local-reset chaos snapshot snapshots restore snapshot-delete
local-up: setup ## Start the local AWS on 127.0.0.1:4566, or on 4567 with REHEARSE=1 (LOCALAWS_PORT)
	@$(PY) -m localaws up
local-down: setup ## Stop the local AWS and every process that it started; its state stays in .local/
	@$(PY) -m localaws down
local-reset: setup ## Stop it and delete its state, datasets and models included: asks, or CONFIRM=yes
	@$(PY) -m deploy.commands.local_reset
chaos: setup ## Throttle, fail, delay or lose machines by rule (docs/FAULTS.md), or list the rules: RULE='throttle service=sagemaker probability=0.3 until=5m' CLEAR=1
	@$(PY) -m deploy.commands.chaos $(call option,RULE,rule) $(if $(CLEAR),--clear)
snapshot: setup ## Save the state of the rehearsal, with its files and its Terraform state: NAME=
	@$(PY) -m deploy.commands.snapshot $(call option,NAME,name)
snapshots: setup ## List the snapshots, or show what one is: NAME=name|file
	@$(PY) -m deploy.commands.snapshots $(call option,NAME,name)
restore: setup ## Bring back a saved state: NAME=name|file; asks before it replaces one, or CONFIRM=yes
	@$(PY) -m deploy.commands.restore $(call option,NAME,name)
snapshot-delete: setup ## Delete a saved state: NAME=
	@$(PY) -m deploy.commands.snapshot_delete $(call option,NAME,name)

##@ Development
.PHONY: test test-all test-soak test-fast coverage test-terraform bench lint fmt docs lock sbom audit scan clean
test: setup lint ## Run lint, Terraform contracts, unit, packaged and end-to-end tests, except the slow ones
	@$(PYTEST_ALL) -m "not slow and not soak"
test-all: setup lint ## Run the slow tests too: dogs, the EC2 instance, the notebook, ENV=local
	@$(PYTEST_ALL) -m "not soak"
test-soak: setup ## Deploy stacks for half an hour: an operator's accidents, each kind of endpoint, a new account, each resource type
	@$(PYTEST_ALL) -m soak
test-fast: setup ## Run the unit tests
	@$(PY) -m pytest tests/unit -q -n 2
coverage: setup ## Run the unit tests, print the coverage of each file, and fail below the floor in pyproject.toml
	@$(PY) -m pytest tests/unit -q -n 2 --cov --cov-report=term:skip-covered
test-terraform: setup ## Test the plans of the Terraform modules
	@$(PY) -m deploy.commands.test_terraform
bench: setup ## Measure speed against baselines and write docs/BENCHMARKS.md: ONLY=bench[/part] REPEATS= QUICK=1
	@$(PY) -m bench $(call option,ONLY,only) $(call option,REPEATS,repeats) $(if $(QUICK),--quick)
lint: setup ## Check the form of Python and Terraform, and the generated documentation
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/ty check --quiet
	@.venv/bin/codespell
	@PATH="$$PATH:$(CURDIR)/.venv/bin" terraform fmt -check -recursive terraform
	@$(PY) -m tools.terraform_docs --check
	@$(PY) -m tools.command_reference --check
fmt: setup ## Format Python and Terraform
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .
	@PATH="$$PATH:$(CURDIR)/.venv/bin" terraform fmt -recursive terraform
docs: setup ## Write the generated documentation: the tables of Terraform and docs/COMMANDS.md
	@$(PY) -m tools.terraform_docs
	@$(PY) -m tools.command_reference
lock: ## Write requirements.lock from pyproject.toml, and the locks of the training instance from its requirements.txt
	@.venv/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header \
		--group pyproject.toml:dev pyproject.toml -o requirements.lock
	@$(PY) -m tools.instance_locks
# Tools of their own, in fixed versions, because nothing imports them.
LOCKS = requirements.lock payloads/ec2/requirements.lock payloads/ec2/boto3.lock
sbom: setup ## Write a bill of materials (CycloneDX) of each lock to build/sbom
	@mkdir -p build/sbom
	@for lock in $(LOCKS); do .venv/bin/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements \
		$$lock --output-file build/sbom/$$(echo $$lock | tr / -).json || exit 1; done
audit: setup ## Compare the locks with the database of known faults of Python packages
	@for lock in $(LOCKS); do .venv/bin/uv tool run --quiet pip-audit==2.10.1 --requirement $$lock --require-hashes \
		--disable-pip || exit 1; done
scan: setup ## Scan the Terraform files for insecure settings; each exception has its reason in a comment of the resource
	@.venv/bin/uv tool run --quiet checkov==3.3.30 --directory terraform --framework terraform --quiet --compact \
		--skip-path terraform/tests --skip-path terraform/examples
clean: ## Remove build/ and caches; the local AWS and its state stay
	@rm -rf build .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
