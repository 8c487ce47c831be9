import { EdgeError } from '../../core/errors.ts';
import { isRecord, type Message, type MessageDraft, newMessage } from '../../core/message.ts';
import type { Application } from './application.ts';

/** What the cloud makes of an application: the body of an approval, a Status, or silence. */
export type Reply = { readonly body: unknown } | { readonly status: unknown } | 'silence';

/** The far end of the link, for tests: it notes what is asked and answers as it is told. */
export class FakeCloud {
  online = true;
  readonly asked: Application[] = [];
  readonly syncs: string[][] = [];
  reply: (application: Application) => Reply = () => 'silence';

  request(draft: MessageDraft): Promise<Message> {
    if (!this.online) return Promise.reject(new EdgeError('LINK_OFFLINE'));
    if (draft.resource === 'watchapp/sync') {
      this.syncs.push(isRecord(draft.content) ? Object.keys(draft.content) : []);
      return Promise.resolve(this.answer(draft, {}));
    }
    const application = draft.content as Application;
    this.asked.push(application);
    const reply = this.reply(application);
    if (reply === 'silence') return Promise.reject(new EdgeError('LINK_TIMEOUT'));
    if ('status' in reply)
      return Promise.resolve(
        this.answer(draft, { ...application, Status: 'Rejected', Error: { ErrStatus: reply.status } }),
      );
    const RespBody = Buffer.from(JSON.stringify(reply.body)).toString('base64');
    return Promise.resolve(this.answer(draft, { ...application, Status: 'Approved', RespBody }));
  }

  /** `get /core/v1/pods/ns/web`, in order. */
  get lines(): string[] {
    return this.asked.map(({ Verb, Key }) => `${Verb} ${Key}`);
  }

  private answer({ source, group, resource }: MessageDraft, content: unknown): Message {
    return newMessage({ source, group, operation: 'applicationResponse', resource, content, parent: 'p' }, 0);
  }
}
