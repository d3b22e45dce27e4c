"""What a client asks of the answer, in the fields that OpenAI's two APIs share.

Chat completions nests each description in a field of its own, the Responses API does not.
"""

from __future__ import annotations

from typing import NamedTuple

from models import AnswerOptions, Content, File, JsonSchema, NamedTool, Text, ToolResult
from providers.schemas.adapt import Dialect, adapt_output, adapt_parameters

JSON_LINE = "Answer with a JSON object."  # for a chat without the word, which the vendor wants

_FAILED = "Error: "

Description = dict[str, object]


class OpenAIFields(NamedTuple):
    """The schema of the answer, the tools and the choice among them; None or empty if not asked.

    `choice` is a word, or the name of a tool.
    """

    schema: Description | None
    tools: list[Description]
    choice: str | NamedTool | None


def describe(options: AnswerOptions, dialect: Dialect) -> OpenAIFields:
    """The descriptions of tools and schema, in the vendor's dialect of schemas."""
    schema = output = None
    match options.output:
        case JsonSchema(name, description=description):
            output = adapt_output(options.output, dialect)
            schema = _named(name, description, output.strict) | {"schema": output.schema}
    if not options.tools:
        return OpenAIFields(schema, [], None)
    adapted = adapt_parameters(options.tools, dialect, output)
    tools = [
        _named(tool.name, tool.description, each.strict) | {"parameters": each.schema}
        for tool, each in zip(options.tools, adapted, strict=True)
    ]
    return OpenAIFields(schema, tools, options.tool_choice)


def result_parts(result: ToolResult) -> tuple[Content, ...]:
    """The parts of a result. A failure has no field of its own, so its text says it."""
    text = "".join(part.text for part in result.parts if isinstance(part, Text))
    is_said = text.lstrip().lower().startswith("error")
    return result.parts if is_said or not result.is_error else (Text(_FAILED), *result.parts)


def file_fields(file: File) -> Description:
    """A file with its name. It has one always, for the vendor goes by its ending."""
    name = file.name or "document"
    name = name if name.lower().endswith(".pdf") else f"{name}.pdf"
    return {"filename": name, "file_data": f"data:{file.media_type};base64,{file.data}"}


def _named(name: str, description: str | None, strict: bool | None) -> Description:
    """What tools and schemas of answers have beside the schema, as far as the client said it."""
    fields = {"name": name, "description": description, "strict": strict}
    return {field: value for field, value in fields.items() if value is not None}
