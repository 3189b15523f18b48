"""The decoded file as the harness compares it: raw numbers, bytes as hexadecimal digits."""

from .decode import Dependency, Field, Function, Module, Type


def model(module: Module) -> dict:
    """The model of a file that breaks no rule."""
    return {
        "header": {name: plain(field) for name, field in module.header.items()},
        "functions": [function_model(module, entry) for entry in module.functions],
        "types": [type_model(module, entry) for entry in module.types],
        "dependencies": [dependency_model(module, entry) for entry in module.dependencies],
        "strings": [text.decode("utf-8") for text in module.strings.values()],
        "slack": module.data[module.strings_end : module.code_start].hex(),
        "code": module.code.hex(),
    }


def function_model(module: Module, entry: Function) -> dict:
    return {
        "name_offset": entry.name_offset.value,
        "name": module.name(entry.name_offset).decode("utf-8"),
        "entry_offset": entry.entry_offset.value,
        "param_count": entry.param_count.value,
        "params": [param.value for param in entry.params],
        "return_type": entry.return_type.value,
        "flags": entry.flags.value,
    }


def type_model(module: Module, entry: Type) -> dict:
    return {
        "id": entry.id.value,
        "name_offset": entry.name_offset.value,
        "name": module.name(entry.name_offset).decode("utf-8"),
        "size": entry.size.value,
        "field_count": entry.field_count.value,
        "fields": [
            {"offset": field.offset.value, "type_code": field.type_code.value}
            for field in entry.fields
        ],
    }


def dependency_model(module: Module, entry: Dependency) -> dict:
    return {
        "name_offset": entry.name_offset.value,
        "name": module.name(entry.name_offset).decode("utf-8"),
        "required_version": entry.required_version.value,
    }


def plain(field: Field) -> object:
    return field.value.hex() if isinstance(field.value, bytes) else field.value
