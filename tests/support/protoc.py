"""The compiler of Protobuf itself, for what our own parser is compared with, and for payloads."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc_tools
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def files_of(text: str, references: Sequence[tuple[str, str]] = ()) -> list[FileDescriptorProto]:
    """Return what protoc makes of a schema and all that it needs, itself the last."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (*references, ("schema0.proto", text)):
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_text(content)
        out = Path(folder) / "out"
        options = [f"-I{folder}", f"-I{WELL_KNOWN}", "--include_imports"]
        status = protoc.main(["", *options, f"--descriptor_set_out={out}", "schema0.proto"])
        assert status == 0, "protoc refuses it"
        return list(FileDescriptorSet.FromString(out.read_bytes()).file)


def message(text: str, name: str, references: Sequence[tuple[str, str]] = ()) -> Any:  # noqa: ANN401 - of a class made here
    """Return an empty message of a schema, by its full name."""
    pool = DescriptorPool()
    for file in files_of(text, references):
        pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName(name))()
