"""What the connections of a loop share."""

import asyncio

from duplexio.websocket.loopstate import LoopState, loop_state

LOOPS = ("asyncio", "uvloop")


class Output:
    def __init__(self, notes):
        self.notes = notes

    def flush_pending(self):
        self.notes.append(self)


async def test_one_for_each_loop():
    loop = asyncio.get_running_loop()
    assert loop_state(loop) is loop_state(loop)
    assert isinstance(loop_state(loop), LoopState)
    other = asyncio.new_event_loop()
    assert loop_state(other) is not loop_state(loop)
    other.close()


async def test_outputs_are_flushed_once_in_order_at_the_end_of_the_turn():
    state = LoopState(asyncio.get_running_loop())
    notes = []
    outputs = [Output(notes) for _ in range(3)]
    for output in outputs:
        state.flush_soon(output)
    assert notes == []
    await asyncio.sleep(0)
    assert notes == outputs
    await asyncio.sleep(0)
    assert notes == outputs


async def test_what_is_added_while_flushing_goes_in_the_next_turn():
    state = LoopState(asyncio.get_running_loop())
    notes = []
    second = Output(notes)

    class First(Output):
        def flush_pending(self):
            super().flush_pending()
            state.flush_soon(second)

    first = First(notes)
    state.flush_soon(first)
    await asyncio.sleep(0)
    assert notes == [first]
    await asyncio.sleep(0)
    assert notes == [first, second]


async def test_the_clients_of_a_loop_share_their_masking_keys():
    state = LoopState(asyncio.get_running_loop())
    assert len(state.mask_keys.next()) == 4
    assert state.mask_keys is state.mask_keys
