'use client';

import * as auth from 'next-auth-5/react';
import { Panel } from '../panel';

export default function Page() {
  return <Panel auth={auth} title="next-auth 5" />;
}
