"""The base of everything a strategy file can name: a frozen value with checked parameters that does its own work."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

Int = Annotated[int, Strict()]
"""A whole number: neither `true` nor `"14"`."""

Number = Annotated[float, Strict()]
"""A finite number: neither `true` nor `"0.5"`."""

Flag = Annotated[bool, Strict()]
"""`true` or `false`: in YAML 1.2 `yes` and `on` are texts."""

Positive = Annotated[float, Strict(), Field(gt=0)]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1)]


def refusal(found: str, expected: str) -> PydanticCustomError:
    """The error that a validator raises: what stands there, and what would be right."""
    return PydanticCustomError("refused", "{found}; {expected}", {"found": found, "expected": expected})


def also(name: str, *spellings: str) -> AliasChoices:
    """Every spelling of a parameter, its own name first."""
    return AliasChoices(name, *spellings)


class Section(BaseModel):
    """A part of a strategy file: immutable, unknown keys refused, one spelling of each parameter at a time."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=(), populate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name in cls.model_fields:
                given = [key for key in cls.spellings(name) if key in data]
                if len(given) > 1:
                    raise refusal(
                        f"{' and '.join(given)} are two spellings of one parameter",
                        f"keep {given[0]} and remove the other",
                    )
        return data

    @classmethod
    def spellings(cls, name: str) -> tuple[str, ...]:
        """Every key under which the field `name` may stand in a file."""
        alias = cls.model_fields[name].validation_alias
        choices = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else []
        return tuple(dict.fromkeys([name, *choices]))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of a file's section: every key that it may use, in every spelling."""
        schema = handler.resolve_ref_schema(handler(core))
        properties = schema.setdefault("properties", {})
        for name in cls.model_fields:
            for spelling in cls.spellings(name):
                properties.setdefault(spelling, properties.get(name, {}))
        for key in (*cls.known_keys(), *cls.older_keys()):
            properties.setdefault(key, {})
        schema["required"] = [name for name in schema.get("required", []) if len(cls.spellings(name)) == 1]
        return schema

    @classmethod
    def tagged(cls, tag: Any) -> type["Section"]:
        """The class behind a tag of this one: itself, unless it stands for many."""
        return cls

    @classmethod
    def known_keys(cls) -> list[str]:
        """Every key a file may use here, in the order of the fields."""
        return [key for name in cls.model_fields for key in cls.spellings(name)]

    @classmethod
    def older_keys(cls) -> list[str]:
        """Keys that older files use here and that have their place elsewhere now."""
        return []

    @model_serializer(mode="wrap")
    def _without_needless_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Values that are None are left out, unless None says something else than leaving the key out."""
        written: dict[str, Any] = handler(self)
        defaults = type(self).model_fields
        return {
            key: value
            for key, value in written.items()
            if value is not None or (key in defaults and defaults[key].default is not None)
        }


class Component(Section):
    """A section that computes: an indicator, a membership function, a labeler or a model type.

    A family's discriminated union of its components is its registry, its validator and its JSON Schema in one.
    """

    type_in_any_case: ClassVar[bool] = False
    """Whether the family's union lowers `type` before it looks."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core, handler)
        if cls.type_in_any_case:
            named = schema["properties"]["type"]
            names = named.pop("enum", None) or [named.pop("const")]
            patterns = "|".join("".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in name) for name in names)
            schema["properties"]["type"] = {**named, "anyOf": [{"enum": names}, {"pattern": f"^({patterns})$"}]}
        return schema

    def with_changes(self, **changes: Any) -> Self:
        """The same component with other parameters, validated anew."""
        return type(self).model_validate({**self.model_dump(), **changes})
