// A mail server (npm smtp-server) for the integration tests, with a mail reader (npm postal-mime) behind it. Prints its port once it
// listens, and events as JSON lines: connect, secure, auth, message, close.
//
// Environment: CERT and KEY in PEM; OPTIONS as JSON: secure (TLS from the start), startTls (default true), user and password (absent:
// no login), methods of AUTH, refuse (answer to RCPT, e.g. 550), messages (so many per connection, then 421).
// Commands, a line each: drop (cuts every connection), freeze (no connection is read from or answered any more).
import { createInterface } from 'node:readline';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';

const options = JSON.parse(process.env.OPTIONS ?? '{}');
const say = (event) => console.log(JSON.stringify(event));
const no = (responseCode, message) => Object.assign(new Error(message), { responseCode });
const sent = new Map();

const server = new SMTPServer({
  secure: options.secure ?? false,
  key: process.env.KEY,
  cert: process.env.CERT,
  authMethods: options.methods ?? ['PLAIN', 'LOGIN'],
  authOptional: options.user === undefined,
  // A login without encryption is allowed, so that a test can see it.
  allowInsecureAuth: true,
  hideSTARTTLS: options.startTls === false,
  disabledCommands: options.user === undefined ? ['AUTH'] : [],
  disableReverseLookup: true,
  onConnect(session, done) {
    say({ event: 'connect', id: session.id });
    done();
  },
  onSecure(socket, session, done) {
    say({ event: 'secure', id: session.id, protocol: socket.getProtocol() });
    done();
  },
  onAuth({ method, username, password }, session, done) {
    const good = username === options.user && password === options.password;
    say({ event: 'auth', id: session.id, method, username, good, secure: session.secure });
    done(good ? null : no(535, `5.7.8 not ${username}@mail.example`), { user: username });
  },
  onMailFrom(address, session, done) {
    const full = options.messages && (sent.get(session.id) ?? 0) >= options.messages;
    done(full ? no(421, '4.7.0 enough for this connection') : null);
  },
  onRcptTo({ address }, session, done) {
    done(options.refuse ? no(options.refuse, `<${address}>: nobody of that name`) : null);
  },
  async onData(stream, session, done) {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    sent.set(session.id, (sent.get(session.id) ?? 0) + 1);
    const { mailFrom, rcptTo } = session.envelope;
    const { headers, subject, from, to, text, html } = await PostalMime.parse(raw);
    say({
      event: 'message', id: session.id, hello: session.hostNameAppearsAs, secure: session.secure,
      sender: mailFrom.address, recipients: rcptTo.map(({ address }) => address),
      headers: Object.fromEntries(headers.map(({ key, value }) => [key, value])), subject, from, to, text, html, raw: raw.toString(),
    });
    done();
  },
  onClose(session) {
    say({ event: 'close', id: session.id });
  },
});
// Some tests close the connection in the middle of a message.
server.on('error', (error) => say({ event: 'error', error: error.message }));
server.listen(0, '127.0.0.1', () => say({ event: 'listening', port: server.server.address().port }));

createInterface({ input: process.stdin }).on('line', (command) => {
  for (const { _socket: socket } of server.connections) {
    if (command === 'drop') socket.destroy();
    if (command === 'freeze') socket.pause();
  }
  say({ event: command });
}).on('close', () => process.exit());
