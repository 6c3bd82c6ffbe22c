"""Names that running workflows and stored histories know. Changing a value strands them."""

GENERATION_WORKFLOW = "GenerationWorkflow"
RESULT_SIGNAL = "report_result"
CANCEL_SIGNAL = "request_cancel"
SLOT_GRANTED_SIGNAL = "grant_place"
PROVIDER_CLOSED_SIGNAL = "provider_closed"
STATUS_QUERY = "status"

RECONCILE_WORKFLOW = "ReconcileWorkflow"
RECONCILE_SCHEDULE = "reconcile"
CHECK_BOOKS_WORKFLOW = "CheckBooksWorkflow"
CHECK_BOOKS_SCHEDULE = "check-books"

GENERATIONS_QUEUE = "generations"
ASSETS_QUEUE = "assets"
RECONCILE_QUEUE = "reconcile"


def submit_queue(provider: str) -> str:
    """Return the queue of submits, which has the provider's rate limit."""
    return f"submit-{provider}"


def provider_queue(provider: str) -> str:
    """Return the queue of polls and cancels, which must not wait behind submits."""
    return f"provider-{provider}"


# Search attributes, all of type Keyword. Never a prompt: no codec hides them.
TENANT_ATTRIBUTE = "DarkroomTenant"
MODEL_ATTRIBUTE = "DarkroomModel"
PROVIDER_ATTRIBUTE = "DarkroomProvider"
STAGE_ATTRIBUTE = "DarkroomStage"
SEARCH_ATTRIBUTES = (TENANT_ATTRIBUTE, MODEL_ATTRIBUTE, PROVIDER_ATTRIBUTE, STAGE_ATTRIBUTE)

DELIVERY_WORKFLOW = "DeliveryWorkflow"
SEND_NOW_SIGNAL = "send_now"
DELIVERIES_QUEUE = "deliveries"

BATCH_WORKFLOW = "BatchWorkflow"
BATCH_CANCEL_SIGNAL = "request_batch_cancel"
BATCHES_QUEUE = "batches"
# The files of batches alone: few at once, as a check of 50,000 lines keeps a process busy for seconds.
BATCH_FILES_QUEUE = "batch-files"
