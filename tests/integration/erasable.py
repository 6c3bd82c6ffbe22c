"""A tenant whose data can be found by a word that is nowhere else."""

from dataclasses import dataclass
from decimal import Decimal

from adapters.database.attempts import PostgresAttempts
from adapters.database.engine import Database
from adapters.database.erasure import PostgresErasure
from adapters.database.inbox import PostgresInbox
from adapters.database.input_files import PostgresInputFiles
from adapters.database.ledger import PostgresLedger
from domain.audit import Actor
from domain.errors import FileNotFound
from domain.generation import GenerationRequest
from domain.input_files import ImageFacts
from domain.progress import PollReport, ProviderProgress
from domain.provider import (
    AttemptRef,
    JobStatus,
    ProviderCost,
    ProviderEvent,
    ProviderJob,
    ProviderResult,
    ResultFile,
)
from tests.support.books import PostgresBooks
from tests.support.requests import new_id

CLIENT = Actor("key:abc")
OPERATOR = Actor("ada@desk", "asked for by mail")
FACTS = ImageFacts(64, 64, "image/png", 100, "ab" * 32)
PRICE = 4


@dataclass
class Subject:
    """A tenant whose data holds one word that is found nowhere else."""

    database: Database
    books: PostgresBooks
    erasure: PostgresErasure
    tenant_id: str
    canary: str

    async def generation(self, *, submit: bool = True, end: bool = True) -> str:
        """Add a generation with the word in every place that a client or a provider fills; complete it."""
        word, database = self.canary, self.database
        wanted = GenerationRequest(
            *("flux-schnell", "fal", "fal-ai/flux/schnell", f"a {word}"),
            {"n": 1, "options": {"style": word}},
            *(1, PRICE),
            metadata={"customer": word},
            inputs=(f"file_{word}",),
            mask=f"file_{word}_mask",
            fallback=GenerationRequest(
                "other", "replicate", "e", f"a {word}", {"n": 1, "options": {"style": word}}, 1, PRICE
            ),
        )
        files = await self._files(wanted)
        generation, _ = await self.books.generations.create(
            self.tenant_id, wanted, f"order {word} {new_id('o')}", word
        )
        for file_id in files:
            await PostgresInputFiles(database).delete_file(file_id)
        ref, attempts = AttemptRef(generation.id), PostgresAttempts(database)
        await PostgresLedger(database).reserve(generation.id)
        if not submit:
            return generation.id
        begun = (await attempts.begin_submit(ref)).begun_at
        assert begun is not None
        await attempts.record_accepted(
            ref, ProviderJob(f"job {generation.id}", {"poll": f"https://p/{word}"})
        )
        logs = ProviderProgress(logs=(f"Prompt: a {word}",))
        await attempts.record_poll(ref, PollReport.of(logs))
        event = ProviderEvent(new_id("event"), f"job {generation.id}", self.result())
        await PostgresInbox(database).record_event("fal", ref, event)
        if end:
            await self.books.store(generation.id)
            await PostgresLedger(database).settle(generation.id)
        return generation.id

    async def _files(self, wanted: GenerationRequest) -> list[str]:
        """Add the files of a request that the test has not; return their ids."""
        files, added = PostgresInputFiles(self.database), []
        for file_id in (*wanted.inputs, wanted.mask or ""):
            try:
                await files.use_files(self.tenant_id, [file_id])
            except FileNotFound:
                await files.add_file(self.tenant_id, file_id, f"{self.tenant_id}/{file_id}", FACTS)
                added.append(file_id)
        return added

    def result(self) -> ProviderResult:
        return ProviderResult(
            JobStatus.SUCCEEDED,
            files=(ResultFile(f"https://results/{self.canary}"),),
            provider_message=f"I see a {self.canary}",
            cost=ProviderCost(Decimal("0.5"), "billable_unit"),
        )

    async def key_of(self, generation_id: str) -> str | None:
        [(key,)] = await self.books.sql(
            "SELECT idempotency_key FROM generations WHERE id = :id", id=generation_id
        )
        return key  # type: ignore[no-any-return]  # a text column

    async def found_in(self) -> list[str]:
        """Return the tables with the word in any column of any row."""
        tables = await self.books.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = []
        for (table,) in tables:
            count = await self.books.sql(
                f"SELECT count(*) FROM {table} AS r WHERE r::text LIKE :word",  # noqa: S608 - our tables
                word=f"%{self.canary}%",
            )
            found += [table] * bool(count[0][0])
        return sorted(found)
