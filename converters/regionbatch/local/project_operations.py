"""The operations on domains, projects and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from regionbatch.local import contract
from regionbatch.local.calls import Result
from regionbatch.local.rules import RefusedError
from regionbatch.local.shared_operations import DOMAINS, SharedOperations

if TYPE_CHECKING:
    from regionbatch.local.calls import Call
    from regionbatch.local.store import ProjectRow

DEFAULT_DOMAIN = next(domain.id for domain in contract.DOMAINS if domain.type == "Classification")


class ProjectOperations(SharedOperations):
    """The operations on domains, projects and tags."""

    def get_domains(self, _call: Call) -> Result:
        """Return all domains."""
        return Result(self._shuffled(contract.DOMAINS))

    def get_domain(self, call: Call) -> Result:
        """Return a domain."""
        domain = call.path_id("domainId", "NotFoundDomain")
        if domain not in DOMAINS:
            raise RefusedError(404, "NotFoundDomain", f"There is no domain {domain}")
        return Result(DOMAINS[domain])

    def create_project(self, call: Call) -> Result:
        """Create a project. As on the real service, the default domain is for classification."""
        name = call.text("name", "BadRequestProjectName")
        domain = (call.ids("domainId", 1) or [DEFAULT_DOMAIN])[0]
        if domain not in DOMAINS:
            raise RefusedError(
                400, "BadRequestProjectUnknownDomain", f"There is no domain {domain}"
            )
        kinds = ("", *get_args(contract.Classifier))
        kind = call.choice(
            "classificationType", kinds, "", "BadRequestProjectUnknownClassification"
        )
        platforms = call.query.get("targetExportPlatforms", "")
        if not set(platforms.split(",")) <= {"", *get_args(contract.Platform)}:
            raise RefusedError(
                400,
                "BadRequestProjectUnsupportedExportPlatform",
                f"Unknown platform in {platforms!r}",
            )
        project = self.store.add_project(
            name, call.query.get("description"), domain, kind or None, platforms
        )
        return Result(self._project(*self.store.projects(project)))

    def get_projects(self, _call: Call) -> Result:
        """Return all projects."""
        return Result(self._shuffled([self._project(row) for row in self.store.projects()]))

    def get_project(self, call: Call) -> Result:
        """Return a project."""
        return Result(self._project(self._project_of(call)))

    def get_tags(self, call: Call) -> Result:
        """Return all tags of a project; there are no pages."""
        return Result(self._shuffled(self.readable.tags(self._project_of(call).id)))

    def get_tag(self, call: Call) -> Result:
        """Return a tag."""
        project = self._project_of(call).id
        tag = call.path_id("tagId", "NotFoundTag")
        return Result(_find_tag(self.readable.tags(project), tag))

    def create_tag(self, call: Call) -> Result:
        """Create a tag from the query; there is no body."""
        project = self._writable_project_of(call).id
        name = call.text("name", "BadRequestTagName")
        kinds = get_args(contract.TagType)
        if call.version == "v3.2":
            kinds = kinds[:2]  # GeneralProduct was added in v3.3
        kind = call.choice("type", kinds, "Regular", "BadRequestTagType")
        self._check_new_tag(self.store.tags(project), name, kind)
        tag = self.store.add_tag(project, name, call.query.get("description"), kind)
        return Result(_find_tag(self.store.tags(project), tag))

    def _check_new_tag(self, tags: list[contract.Tag], name: str, kind: str) -> None:
        if name in {tag.name for tag in tags}:
            raise RefusedError(
                400, "BadRequestTagNameNotUnique", f"The name {name!r} is already in use"
            )
        if kind == "Negative" and "Negative" in {tag.type for tag in tags}:
            raise RefusedError(
                400, "BadRequestMultipleNegativeTag", "The project already has a negative tag"
            )
        limit = self.settings.limits.tags
        if len(tags) >= limit:
            raise RefusedError(
                400, "BadRequestExceedTagPerProjectLimit", f"A project takes at most {limit} tags"
            )

    def delete_tag(self, call: Call) -> Result:
        """Delete a tag with its regions."""
        project = self._writable_project_of(call).id
        tag = _find_tag(self.store.tags(project), call.path_id("tagId", "NotFoundTag"))
        self.store.delete_tag(tag.id)
        return Result(None, 204)

    def _project(self, row: ProjectRow) -> contract.Project:
        return contract.Project(
            id=row.id,
            name=row.name,
            description=row.description,
            settings=contract.ProjectSettings(
                domain_id=row.domain,
                classification_type=row.classification,
                target_export_platforms=[*filter(None, row.platforms.split(","))],
            ),
            created=row.created,
            last_modified=row.created,
            dr_mode_enabled=self.settings.dr_mode,
            status=self.settings.project_status,
        )


def _find_tag(tags: list[contract.Tag], tag: str) -> contract.Tag:
    found = next((row for row in tags if row.id == tag), None)
    if found is None:
        raise RefusedError(404, "NotFoundTag", f"There is no tag {tag}")
    return found
