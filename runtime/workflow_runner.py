"""What runs workflows in a worker process: the service's, and the one it is measured against."""

from temporalio.worker import UnsandboxedWorkflowRunner

# Tests run in the sandbox, and search the source for what it would find; here it would only cost (ADR 19).
PRODUCTION_RUNNER = UnsandboxedWorkflowRunner()
