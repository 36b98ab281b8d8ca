"""Passes TCP connections on: from a port at an address of this network to the same port of loopback. Prints the port once it is open.

usage: forward.py ADDRESS PORT
"""
import asyncio
import sys


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def main():
    address, port = sys.argv[1], int(sys.argv[2])

    async def serve(reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))

    server = await asyncio.start_server(serve, address, port)
    print(port, flush=True)
    await server.serve_forever()


asyncio.run(main())
