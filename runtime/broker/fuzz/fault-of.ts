import { isUtf8 } from 'node:buffer';
import { readClientPacket } from '../decode/client-packet.ts';
import { PacketFault, PacketReader } from '../decode/packet-reader.ts';
import { readProperties } from '../decode/properties.ts';
import { PublishFrame } from '../publish-frame.ts';

const [CONNECT, PUBLISH] = [1, 3];
const publish = new PublishFrame();

/** What the broker's decoder has against one packet of a client, as its connection would ask it.
 * @returns undefined when it takes it */
export function faultOf(frame: Buffer, version: 3 | 4 | 5): string | undefined {
  const type = (frame[0] as number) >> 4;
  if (type === PUBLISH) return faultOfPublish(frame, version === 5);
  return caught(() => readClientPacket(frame, 0, frame.length, type === CONNECT ? undefined : version));
}

function faultOfPublish(frame: Buffer, isFive: boolean): string | undefined {
  if (!publish.read(frame, 0, frame.length, isFive)) return 'a malformed PUBLISH';
  const { topicStart, topicEnd, payloadStart, hasProperties } = publish;
  const topic = frame.subarray(topicStart, topicEnd);
  if (!isUtf8(topic) || topic.includes(0)) return 'a topic that is not UTF-8';
  if (!hasProperties) return undefined;
  return caught(() => readProperties(new PacketReader(frame, payloadStart - 1, frame.length), 'publish'));
}

function caught(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof PacketFault) return error.message;
    throw error;
  }
}
