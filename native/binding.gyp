{
  'targets': [
    {
      'target_name': 'lbd_native',
      'sources': [
        'addon/addon.cc',
        'addon/bpf.cc',
        'addon/clock.cc',
        'addon/interface.cc',
        'addon/packet.cc',
        'addon/poll.cc',
        'addon/socket.cc',
        'addon/watch.cc',
        'addon/xdp.cc',
      ],
      'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
      'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_DISABLE_DEPRECATED', 'NAPI_DISABLE_CPP_EXCEPTIONS'],
      'cflags': ['-Wall', '-Wextra', '-Wno-unused-parameter', '-Wno-missing-field-initializers', '-Wno-cast-function-type', '-O2'],
      'cflags_cc': ['-std=c++17', '-fvisibility=hidden'],
    },
  ],
}
